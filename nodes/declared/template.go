package declared

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"

	"faultline/nodes"
	"faultline/topologies"
)

// Launching is what templates of args, env and config can use.
type Launching struct {
	Self    Node   // the node that starts
	Servers []Node // those that the cluster begins with, in the order of the topology
	Others  []Node // the same without Self
	All     []Node // every node, spares and clients among them
	Start   string // founder, again, fresh or joiner
	Port    int    // of the file
	// Settings are those of the file, with the scenario's on top.
	Settings map[string]any
}

// Node is a node in templates.
type Node struct {
	Name  string
	Addr  string // IP address
	Index int    // 1, 2, 3 … in the order of the topology
	Dir   string // its data directory, which outlives its process
	DC    string
	Role  string // server, client or spare
}

// Asking is what templates of requests can use.
type Asking struct {
	Key    string
	Value  string // of write and cas: what the key is to hold
	Old    string // of cas: the value that the key must have
	Absent bool   // of cas: the key must be absent; Old is empty and Index 0
	Index  uint64 // of cas: the modify index that the key must have
	Mode   string // of read
	// Settings are those of the file, with the scenario's on top.
	Settings map[string]any
}

// launching is what a start gives to templates.
func launching(s nodes.Start, port int, settings map[string]any) Launching {
	l := Launching{Start: string(s.Kind), Port: port, Settings: settings}
	for i, n := range s.All {
		node := Node{n.Name, n.Addr.String(), i + 1, n.Dir, n.DC, string(n.Role)}
		l.All = append(l.All, node)
		if n.Role == topologies.Server {
			l.Servers = append(l.Servers, node)
		}
		if n.Name == s.Self.Name {
			l.Self = node
		}
	}
	for _, n := range l.Servers {
		if n.Name != l.Self.Name {
			l.Others = append(l.Others, n)
		}
	}
	return l
}

// text is a template of the file.
type text struct {
	template *template.Template
	lines    bool // of a block of several lines
}

// compile reads the template at a path of the file. files are those that the function file knows.
func (l lines) compile(path []string, source string, files []string) (text, *mistake) {
	t, err := template.New("t").Option("missingkey=error").Funcs(functions(files)).Parse(source)
	if err != nil {
		return text{}, l.templateMistake(path, err)
	}
	return text{t, strings.Contains(strings.TrimSpace(source), "\n")}, nil
}

func functions(files []string) template.FuncMap {
	return template.FuncMap{
		"base64": func(v any) string { return base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(v))) },
		"json": func(v any) (string, error) {
			encoded, err := json.Marshal(v)
			return string(encoded), err
		},
		"urlpath": func(v any) string { return url.PathEscape(fmt.Sprint(v)) },
		"file":    func(name string) (string, error) { return fileOf(files, name) },
	}
}

// fileOf is the path in the pod of the one file that ends with name.
func fileOf(files []string, name string) (string, error) {
	var found []string
	for _, f := range files {
		if f == name || strings.HasSuffix(f, "/"+filepath.Clean(name)) {
			found = append(found, f)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%q is none of files; add it there", name)
	}
	return "", fmt.Errorf("%q is %s; say which, by more of the path", name, strings.Join(found, " and "))
}

func (t text) render(data any) (string, error) {
	var out strings.Builder
	if err := t.template.Execute(&out, data); err != nil {
		return "", err
	}
	return out.String(), nil
}

var (
	templateLine  = regexp.MustCompile(`^template: t:(\d+)(?::\d+)?: `)
	templatePlace = regexp.MustCompile(`^executing "t" at (<.*?>): `)
	calling       = regexp.MustCompile(`error calling \w+: `)
	unknownField  = regexp.MustCompile(`can't evaluate field (\S+) in type \S*?declared\.(\w+)$`)
	unknownKey    = regexp.MustCompile(`map has no entry for key "(.*)"$`)
)

// templateMistake is an error of package template in the words of the file.
func (l lines) templateMistake(path []string, err error) *mistake {
	var inFunction template.ExecError
	message := err.Error()
	if errors.As(err, &inFunction) {
		message = inFunction.Err.Error()
	}
	line := l.node(path).Line
	if at := templateLine.FindStringSubmatch(message); at != nil {
		message = strings.TrimPrefix(message, at[0])
		within, err := strconv.Atoi(at[1])
		if err == nil {
			line += within - 1
		}
		if style := l.node(path).Style; style == yaml.LiteralStyle || style == yaml.FoldedStyle {
			line++
		}
	}
	message = templatePlace.ReplaceAllString(message, "$1: ")
	if m := unknownField.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("no .%s; there is %s", m[1], fieldsOf(m[2]))
	}
	if m := unknownKey.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("no setting %q; add it to settings, with its default", m[1])
	}
	return l.numbered(line, path, calling.ReplaceAllString(message, ""))
}

// fieldsOf lists what a template can use, by the name of a type above.
func fieldsOf(kind string) string {
	names := map[string][]string{
		"Launching": {".Self", ".Servers", ".Others", ".All", ".Start", ".Port", ".Settings"},
		"Node":      {".Name", ".Addr", ".Index", ".Dir", ".DC", ".Role"},
		"Asking":    {".Key", ".Value", ".Old", ".Absent", ".Index", ".Mode", ".Settings"},
	}[kind]
	slices.Sort(names)
	return strings.Join(names, ", ")
}
