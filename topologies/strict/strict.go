// Package strict decodes Faultline's YAML files: scenarios, topologies, schedules.
//
// It is go.yaml.in/yaml/v3 with three promises on top: a field that nobody knows is an
// error, every error names the file and the line, and a file that holds nothing, or
// more than one document, is refused.
//
//	err := strict.Decode("ci/smoke/crash.yaml", data, &scenario)
//	// ci/smoke/crash.yaml:7: unknown field "ratee"
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// Decode fills v, a pointer to a struct, from the single YAML document in data.
// file is only used in error texts. Several mistakes are reported together, a line each.
func Decode(file string, data []byte, v any) error {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	switch err := dec.Decode(v); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the file is empty", file)
	case err != nil:
		return located(file, err)
	}
	var rest yaml.Node
	if err := dec.Decode(&rest); err == nil {
		return fmt.Errorf("%s:%d: a second YAML document; one file holds one", file, rest.Line)
	} else if !errors.Is(err, io.EOF) {
		return located(file, err)
	}
	return nil
}

// most is how much of a file is read, in bytes.
const most = 16 << 20

// ReadFile reads a file that Decode is to read. Only a regular one is, or what a link leads
// to: a FIFO that nobody writes to would hold up whoever asked.
func ReadFile(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file, but a %s", name, kind(info.Mode()))
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s is larger than %d MiB", name, most>>20)
	}
	return data, err
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeNamedPipe != 0:
		return "FIFO"
	}
	return "device or socket"
}

// At is an error about the value of node in a file that is being decoded. Decode puts
// the file's name in front.
func At(node *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
}

// Known refuses fields of a mapping that v, a struct, does not have, for types that read themselves: yaml forgets there that Decode
// knows all fields.
func Known(node *yaml.Node, v any) error {
	if node.Kind != yaml.MappingNode {
		return nil // whoever decodes it says so
	}
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(fieldsOf(reflect.TypeOf(v)), key.Value) {
			return At(key, "unknown field %q", key.Value)
		}
	}
	return nil
}

func fieldsOf(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, flags, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if field.Anonymous && flags == "inline" {
			names = append(names, fieldsOf(field.Type)...)
		} else if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// Encode is the YAML text of v, with an indent of two.
func Encode(v any) (string, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return out.String(), nil
}

var (
	linePrefix   = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?line (\d+): `)
	unknownField = regexp.MustCompile(`(?s)field (.+) not found in type \S+$`)
	duplicateKey = regexp.MustCompile(`mapping key "([^"]+)" already defined at line (\d+)`)
)

func located(file string, err error) error {
	var typed *yaml.TypeError
	messages := []string{err.Error()}
	if errors.As(err, &typed) {
		messages = typed.Errors
	}
	for i, m := range messages {
		m = unknownField.ReplaceAllString(m, `unknown field "$1"`)
		m = duplicateKey.ReplaceAllString(m, `field "$1" stands twice, first at line $2`)
		if at := linePrefix.FindStringSubmatch(m); at != nil {
			m = fmt.Sprintf("%s:%s: %s", file, at[1], strings.TrimPrefix(m, at[0]))
		} else {
			m = fmt.Sprintf("%s: %s", file, strings.TrimPrefix(m, "yaml: "))
		}
		messages[i] = strings.ReplaceAll(m, "\n", `\n`) // of a key or a value: no file may write lines of its own
	}
	return errors.New(strings.Join(messages, "\n"))
}
