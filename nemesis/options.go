package nemesis

import (
	"math"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"faultline/nodes/faults"
)

// The options of a fault are the fields of its type. They are read one by one, and not by
// package yaml's decoder, because that stops at the first mistake and says what a Go
// program expected instead of what an engineer should write.

// option is one field of a fault's type.
type option struct {
	name string
	want string // what is expected of a value, if its type does not say it
	path []int  // of reflect.Value.FieldByIndex
}

// optionsOf lists the options of a fault's type, in the order in which they are written.
func optionsOf(t reflect.Type) []option {
	var all []option
	for i := range t.NumField() {
		field := t.Field(i)
		name, flags, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case field.Anonymous && (flags == "inline" || name == "" && field.Type.Kind() == reflect.Struct):
			for _, o := range optionsOf(field.Type) {
				o.path = append([]int{i}, o.path...)
				all = append(all, o)
			}
		case name != "" && name != "-":
			all = append(all, option{name, field.Tag.Get("want"), []int{i}})
		}
	}
	return all
}

// OptionNames lists a fault's options, in the order in which they are written.
func OptionNames(f Fault) []string {
	names := []string{}
	for _, o := range optionsOf(reflect.TypeOf(f)) {
		names = append(names, o.name)
	}
	return names
}

// withOption is the fault with one more option. It gives back what was expected if the
// value is not that, and not ok if the fault does not take the option.
func withOption(f Fault, name string, value *yaml.Node) (with Fault, want string, ok bool) {
	copied := reflect.New(reflect.TypeOf(f)).Elem()
	copied.Set(reflect.ValueOf(f))
	for _, o := range optionsOf(copied.Type()) {
		if o.name == name {
			want = o.read(copied.FieldByIndex(o.path), value)
			return copied.Interface().(Fault), want, true
		}
	}
	return f, "", false
}

func (o option) read(field reflect.Value, v *yaml.Node) (want string) {
	if d, ok := field.Addr().Interface().(*time.Duration); ok {
		return readDuration(d, v)
	}
	if p, ok := field.Addr().Interface().(*faults.Ports); ok {
		if v.Decode(p) != nil {
			return o.want
		}
		return ""
	}
	if want = o.want; want == "" {
		want = wantOf(field.Kind())
	}
	if problem := readScalar(field.Addr().Interface(), v, want); problem != "" {
		return problem
	}
	if field.Kind() == reflect.Float64 && math.IsNaN(field.Float()) { // which compares with nothing
		field.SetFloat(0)
		return want
	}
	return ""
}

func wantOf(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a word of letters, digits and dashes"
	case reflect.Float64:
		return "a number such as 0.5"
	case reflect.Uint64:
		return wantCount
	default:
		return "a whole number"
	}
}

// written lists the options of a fault that are not as by default, as keys and values.
func written(f Fault) (nodes []*yaml.Node, err error) {
	value := reflect.ValueOf(f)
	for _, o := range optionsOf(value.Type()) {
		field := value.FieldByIndex(o.path)
		if field.IsZero() {
			continue
		}
		var plain any = field.Interface()
		if d, ok := plain.(time.Duration); ok {
			plain = writeDuration(d)
		}
		var v yaml.Node
		if err := v.Encode(plain); err != nil {
			return nil, err
		}
		nodes = append(nodes, &yaml.Node{Kind: yaml.ScalarNode, Value: o.name}, &v)
	}
	return nodes, nil
}
