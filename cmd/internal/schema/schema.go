// Package schema makes JSON Schemas of the files that users write: scenarios, schedules,
// topologies and systems. They are made from the Go types that the files are read into, so that an editor
// knows exactly the fields that Faultline knows:
//
//	text, err := schema.Schedule().Encode()
//
// A schema checks one file by itself: fields, types, names of faults with the options and
// targets of each. It is not the last word. What depends on several fields, or on another
// file (whether a node of a step is in the topology), is checked when the file is read.
package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// draft07 is the newest draft that editors know in full.
const draft07 = "http://json-schema.org/draft-07/schema#"

// Schema is a JSON Schema, as far as these files need it.
type Schema struct {
	Draft       string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       any                `json:"const,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	Maximum     *int               `json:"maximum,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MaxItems    int                `json:"maxItems,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the *Schema of all others
	AnyOf       []*Schema          `json:"anyOf,omitempty"`
	OneOf       []*Schema          `json:"oneOf,omitempty"`
	Not         *Schema            `json:"not,omitempty"`
	Definitions map[string]*Schema `json:"definitions,omitempty"`
}

// Encode returns the schema as indented JSON, with a line break at its end.
func (s *Schema) Encode() (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(s); err != nil {
		return "", err
	}
	return text.String(), nil
}

// object is a mapping with these fields and no others.
func object(properties map[string]*Schema, required ...string) *Schema {
	return &Schema{Type: "object", Properties: properties, Required: required, Additional: false}
}

func list(items *Schema) *Schema { return &Schema{Type: "array", Items: items} }

func ref(definition string) *Schema { return &Schema{Ref: "#/definitions/" + definition} }

func oneOfWords(words []string) *Schema { return &Schema{Type: "string", Enum: words} }

// described is a copy with a description, if there is any to give.
func (s *Schema) described(text string) *Schema {
	copied := *s
	if text != "" {
		copied.Description = text
	}
	return &copied
}

func atLeast(n int) *Schema { return &Schema{Type: "integer", Minimum: &n} }

// fieldsOf lists the fields of a struct by their yaml tags, those of embedded structs among
// them. What known has for a type is taken instead of what the type's kind says.
func fieldsOf(t reflect.Type, known map[reflect.Type]*Schema) map[string]*Schema {
	all := map[string]*Schema{}
	for i := range t.NumField() {
		field := t.Field(i)
		name, flags, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case field.Anonymous && (name == "" || strings.Contains(flags, "inline")):
			for inner, schema := range fieldsOf(field.Type, known) {
				all[inner] = schema
			}
		case name != "" && field.IsExported():
			all[name] = schemaOf(field.Type, known).described(field.Tag.Get("want"))
		}
	}
	return all
}

// schemaOf panics over a type that it does not know: every file's type is known when the
// tests of this package pass.
func schemaOf(t reflect.Type, known map[reflect.Type]*Schema) *Schema {
	if s, ok := known[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Int, reflect.Int64:
		return &Schema{Type: "integer"}
	case reflect.Uint64:
		return atLeast(0)
	case reflect.Pointer:
		return schemaOf(t.Elem(), known)
	case reflect.Interface:
		return &Schema{}
	case reflect.Map:
		return &Schema{Type: "object", Additional: schemaOf(t.Elem(), known)}
	case reflect.Slice:
		return list(schemaOf(t.Elem(), known))
	case reflect.Struct:
		return object(fieldsOf(t, known))
	}
	panic(fmt.Sprintf("schema: no schema for fields of type %s", t))
}
