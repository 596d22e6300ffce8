package faultline

import (
	"regexp"

	"go.yaml.in/yaml/v3"

	"faultline/topologies/strict"
)

var fieldName = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// With is the scenario with one of its fields as a scenario's file would have it: rate, 300. The field holds one
// value, as rate does and nemesis does not. What makes no sense is refused, as in a file.
func (s Scenario) With(field, value string) (Scenario, error) {
	var fields map[string]yaml.Node
	text := field + ": " + value + "\n"
	if !fieldName.MatchString(field) || yaml.Unmarshal([]byte(text), &fields) != nil || len(fields) != 1 || fields[field].Kind != yaml.ScalarNode || fields[field].Tag == "!!null" {
		return s, usagef("%s=%s: want a field of a scenario and one value, such as rate=300", field, value)
	}
	if err := strict.Decode(field, []byte(text), &s); err != nil {
		return s, usage(err)
	}
	return s, usage(s.Validate())
}
