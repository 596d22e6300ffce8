package declared

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"faultline/topologies/strict"
)

// File is what a file says of a system. Texts that are templates are marked so; what they can
// use is [Launching] in args, env and config, and [Asking] in requests.
type File struct {
	Name string `yaml:"name" want:"the system's name, in reports"`
	Doc  string `yaml:"doc,omitempty" want:"what it is, in a sentence"`

	// How a node is started.
	Program string            `yaml:"program" want:"the node's program: a path on this machine, for Linux"`
	Files   []string          `yaml:"files,omitempty" want:"more files and directories of this machine; they are in every pod at the same absolute paths"`
	Args    []string          `yaml:"args,omitempty" want:"templates of the program's arguments; a block of several lines gives an argument a line"`
	Env     map[string]string `yaml:"env,omitempty" want:"templates of environment variables"`
	Config  map[string]string `yaml:"config,omitempty" want:"files that are written before every start: absolute path, and a template of the content"`
	// Settings are the names that scenarios may set, and what they are by default.
	Settings map[string]any `yaml:"settings,omitempty" want:"settings that scenarios may change, and their defaults"`

	// How a node is asked.
	Port   int     `yaml:"port" want:"TCP port on which a node answers clients"`
	Ready  string  `yaml:"ready,omitempty" want:"when a node is ready: a path that answers 2xx, or tcp; without it, when it answers a read"`
	API    string  `yaml:"api" want:"what clients speak"`
	HTTP   *HTTP   `yaml:"http,omitempty" want:"the requests of api http"`
	Redis  *Redis  `yaml:"redis,omitempty" want:"what api redis is told"`
	Leader *Leader `yaml:"leader,omitempty" want:"how a node says who leads"`
}

// HTTP are the operations of a system that is asked over HTTP.
type HTTP struct {
	Read Operation `yaml:"read" want:"how a key is read"`
	// Modes are other ways to read. What one leaves out is as in Read.
	Modes map[string]Operation `yaml:"modes,omitempty" want:"other modes of reads; what one leaves out is as in read"`
	Write *Operation           `yaml:"write,omitempty" want:"how a key is written"`
	CAS   *Operation           `yaml:"cas,omitempty" want:"how a key is compared and set"`
}

// Operation is a request, and how its answer is read.
type Operation struct {
	Doc     string            `yaml:"doc,omitempty" want:"what it promises, in a sentence"`
	Method  string            `yaml:"method,omitempty" want:"GET for reads and PUT for others, unless given"`
	Path    string            `yaml:"path,omitempty" want:"template of the path, with its query"`
	Headers map[string]string `yaml:"headers,omitempty" want:"templates of headers"`
	Body    string            `yaml:"body,omitempty" want:"template of the body"`

	Answers []Row `yaml:"answers,omitempty" want:"what an answer means: the first row that fits; what none fits is info"`
	Value   *Part `yaml:"value,omitempty" want:"where the value stands in the answer of a read; without it the whole body is the value"`
	Index   *Part `yaml:"index,omitempty" want:"where the modify index stands in an answer"`
}

// Row says what answers of a status mean.
type Row struct {
	Status int    `yaml:"status" want:"of HTTP"`
	Body   string `yaml:"body,omitempty" want:"a regular expression that the body matches; without it any body fits"`
	Is     Kind   `yaml:"is" want:"what the answer means"`
}

// Kind is what an answer means.
type Kind string

const (
	OK       Kind = "ok"       // it was done
	Absent   Kind = "absent"   // of a read: the key is not there
	Mismatch Kind = "mismatch" // of a compare-and-set: the compare failed
	Fail     Kind = "fail"     // it was certainly not done
	Info     Kind = "info"     // nobody knows
)

// kinds are what answers of an operation may mean.
var kinds = map[string][]Kind{
	"read":  {OK, Absent, Fail, Info},
	"write": {OK, Fail, Info},
	"cas":   {OK, Mismatch, Fail, Info},
}

// Kinds lists all.
func Kinds() []Kind { return []Kind{OK, Absent, Mismatch, Fail, Info} }

// Part is where something stands in an answer: in a header, at a JSON pointer (RFC 6901) of the
// body, or, without either, the whole body.
type Part struct {
	Header string `yaml:"header,omitempty" want:"name of a header"`
	JSON   string `yaml:"json,omitempty" want:"JSON pointer into the body, such as /value"`
	Base64 bool   `yaml:"base64,omitempty" want:"what stands there is base64"`
	Trim   bool   `yaml:"trim,omitempty" want:"white space around it is none of it"`
}

// Leader is how a node says who leads.
type Leader struct {
	Path    string `yaml:"path" want:"path that is asked"`
	JSON    string `yaml:"json,omitempty" want:"JSON pointer to who leads"`
	Matches string `yaml:"matches,omitempty" want:"regular expression whose group is who leads"`
	Says    Says   `yaml:"says,omitempty" want:"whether that is the leader's name (the default), its address, or the asked node's own role"`
	Leads   string `yaml:"leads,omitempty" want:"with says role: what a node says that leads; true unless given"`
	Nobody  string `yaml:"nobody,omitempty" want:"what a node says if nobody leads, beside nothing and null"`
}

// Says is what the text is that a node says of leaders.
type Says string

const (
	SaysName    Says = "name"
	SaysAddress Says = "address" // HOST, HOST:PORT or a URL
	SaysRole    Says = "role"    // of the asked node, which knows nobody else's
)

// AllSays lists all.
func AllSays() []Says { return []Says{SaysName, SaysAddress, SaysRole} }

// String is the YAML form, which [Parse] reads back to an equal value.
func (f File) String() string {
	text, err := strict.Encode(f)
	if err != nil {
		return fmt.Sprintf("# system %q does not encode: %v\n", f.Name, err)
	}
	return text
}

// Parse reads a file. Relative paths in it start where the file is; in the result they are absolute.
// It looks at nothing but data.
func Parse(file string, data []byte) (File, error) {
	f, _, err := parse(file, data)
	return f, err
}

// parse also returns what knows the lines of the file.
func parse(file string, data []byte) (File, lines, error) {
	var f File
	if err := strict.Decode(file, data, &f); err != nil {
		return File{}, lines{}, err
	}
	at := lines{file: file}
	if err := yaml.Unmarshal(data, &at.root); err != nil {
		return File{}, lines{}, fmt.Errorf("%s: %w", file, err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return File{}, lines{}, err
	}
	f.Program = absolute(dir, f.Program)
	for i := range f.Files {
		f.Files[i] = absolute(dir, f.Files[i])
	}
	return f, at, nil
}

func absolute(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// lines knows where the fields of a file stand.
type lines struct {
	file string
	root yaml.Node
}

// mistake is an error about the field at a path, such as "http", "read", "path", or about the
// nearest around it that there is.
func (l lines) mistake(path []string, format string, args ...any) *mistake {
	return l.numbered(l.node(path).Line, path, fmt.Sprintf(format, args...))
}

// numbered is an error about a line.
func (l lines) numbered(line int, path []string, message string) *mistake {
	message = strings.ReplaceAll(message, "\n", `\n`) // of a key or a value: no file may write lines of its own
	return &mistake{line, fmt.Sprintf("%s:%d: %s: %s", l.file, line, strings.ReplaceAll(strings.Join(path, "."), "\n", `\n`), message)}
}

// mistake is what is wrong in a line.
type mistake struct {
	line int
	text string
}

func (m *mistake) Error() string { return m.text }

// node is the value at a path, or the nearest around it.
func (l lines) node(path []string) *yaml.Node {
	at := &l.root
	if at.Kind == yaml.DocumentNode && len(at.Content) > 0 {
		at = at.Content[0]
	}
	for _, name := range path {
		next := child(at, name)
		if next == nil {
			break
		}
		at = next
	}
	return at
}

func child(of *yaml.Node, name string) *yaml.Node {
	if of.Kind == yaml.AliasNode {
		of = of.Alias
	}
	switch of.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(of.Content); i += 2 {
			if of.Content[i].Value == name {
				return of.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		for i, item := range of.Content {
			if fmt.Sprint(i) == name {
				return item
			}
		}
	}
	return nil
}
