package nemesis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const wantCount = "a whole number from 0 on"

// stepFields are those of every step; the others are the options of its fault.
var stepFields = []string{"at", "for", "fault", "target", "dc", "between", "draw", "when", "after", "within", "optional", "skip", "fired"}

// UnmarshalYAML reads a schedule and remembers where its steps stand. It does so by hand
// because yaml drops an empty step of a list without a word, and stops at the first
// mistake that a step's own decoder reports. All mistakes come together.
func (s *Schedule) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return mistakes([]string{mistake(node, "a schedule has the fields seed and steps")})
	}
	*s = Schedule{line: node.Line}
	return mistakes(eachField(node, func(key, value *yaml.Node) []string {
		switch key.Value {
		case "seed":
			return unless(key, value, readScalar(&s.Seed, value, wantCount))
		case "steps":
			var wrong []string
			s.Steps, wrong = readSteps(value)
			return wrong
		}
		return []string{mistake(key, "unknown field %q; a schedule has seed, steps", key.Value)}
	}))
}

// UnmarshalYAML reads the steps of a file that holds more than a schedule.
func (s *Steps) UnmarshalYAML(node *yaml.Node) error {
	steps, wrong := readSteps(node)
	*s = steps
	return mistakes(wrong)
}

func readSteps(list *yaml.Node) (steps []Step, wrong []string) {
	if list.Kind != yaml.SequenceNode {
		return nil, []string{mistake(list, "steps: want a list, not %s", shown(list))}
	}
	for _, item := range list.Content {
		step, texts := readStep(behind(item))
		steps, wrong = append(steps, step), append(wrong, texts...)
	}
	return steps, wrong
}

// readStep reads the fault first, since it says what else the step may have.
func readStep(node *yaml.Node) (s Step, wrong []string) {
	if node.Kind != yaml.MappingNode {
		return s, []string{mistake(node, "a step looks like {at: 3s, for: 5s, fault: kill, target: one}")}
	}
	s.line = node.Line
	s.Fault, wrong = readFault(node)
	return s, append(wrong, eachField(node, func(key, value *yaml.Node) []string {
		switch key.Value {
		case "fault":
			return nil // read already
		case "at":
			return unless(key, value, readDuration(&s.At, value))
		case "for":
			return unless(key, value, readDuration(&s.For, value))
		case "target":
			return unless(key, value, readTarget(&s.Target, value))
		case "dc":
			return unless(key, value, readWord(&s.DC, value))
		case "between":
			return unless(key, value, readBetween(&s.Target, value))
		case "draw":
			return unless(key, value, readScalar(&s.Draw, value, wantCount))
		case "when":
			return unless(key, value, readTrigger(&s.When, value))
		case "after":
			return unless(key, value, readDuration(&s.After, value))
		case "within":
			return unless(key, value, readDuration(&s.Within, value))
		case "optional":
			return unless(key, value, readScalar(&s.Optional, value, "true or false"))
		case "skip":
			return unless(key, value, readScalar(&s.Skip, value, "true or false"))
		case "fired":
			return unless(key, value, readTrigger(&s.Fired, value))
		}
		if s.Fault == nil { // it may be the option of another
			if !anyTakes(key.Value) {
				return []string{mistake(key, "unknown field %q; every step has %s", key.Value, strings.Join(stepFields, ", "))}
			}
			return nil
		}
		with, want, ok := withOption(s.Fault, key.Value, value)
		if !ok {
			return []string{mistake(key, "%s does not take %q; it takes %s", s.Name(), key.Value,
				strings.Join(append(slices.Clone(stepFields), OptionNames(s.Fault)...), ", "))}
		}
		s.Fault = with
		return unless(key, value, want)
	})...)
}

// readFault finds the fault of a step, nil if there is none.
func readFault(step *yaml.Node) (Fault, []string) {
	for i := 0; i+1 < len(step.Content); i += 2 {
		key, value := step.Content[i], behind(step.Content[i+1])
		if key.Value != "fault" {
			continue
		}
		if value.Kind != yaml.ScalarNode || !isWord(value.Value) {
			return nil, []string{unwanted(key, value, "the name of a fault")}
		}
		if f, ok := find(value.Value); ok {
			return f, nil
		}
		return nil, []string{mistake(value, "no fault %q; there are %s", value.Value, strings.Join(faultNames(), ", "))}
	}
	return nil, []string{mistake(step, "fault is missing; there are %s", strings.Join(faultNames(), ", "))}
}

func anyTakes(name string) bool {
	return slices.ContainsFunc(table, func(f Fault) bool { return slices.Contains(OptionNames(f), name) })
}

func faultNames() (names []string) {
	for _, f := range table {
		names = append(names, f.Kind().Name)
	}
	return names
}

// eachField reads the fields of a mapping and collects what is wrong with them.
func eachField(node *yaml.Node, read func(key, value *yaml.Node) []string) (wrong []string) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], behind(node.Content[i+1])
		if seen[key.Value] {
			wrong = append(wrong, mistake(key, "field %q stands twice", key.Value))
			continue
		}
		seen[key.Value] = true
		wrong = append(wrong, read(key, value)...)
	}
	return wrong
}

// behind is the node that an alias stands for.
func behind(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// MarshalYAML writes a step as one line in flow style.
func (s Step) MarshalYAML() (any, error) {
	node := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, f := range []struct {
		name  string
		given bool
		value any
	}{
		{"at", true, writeDuration(s.At)},
		{"when", !s.When.IsZero(), s.When.String()},
		{"after", s.After != 0, writeDuration(s.After)},
		{"within", s.Within != 0, writeDuration(s.Within)},
		{"for", s.For != 0, writeDuration(s.For)},
		{"fault", s.Fault != nil, s.Name()},
		{"target", s.Target.Word != "" || s.Target.Names != nil, s.Target.plain()},
		{"dc", s.DC != "", s.DC},
		{"between", s.Target.Between != nil, s.Target.Between},
		{"draw", s.Draw != 0, s.Draw},
		{"optional", s.Optional, true},
		{"skip", s.Skip, true},
		{"fired", !s.Fired.IsZero(), s.Fired.String()},
	} {
		if !f.given {
			continue
		}
		var v yaml.Node
		if err := v.Encode(f.value); err != nil {
			return nil, err
		}
		if v.Kind == yaml.SequenceNode {
			v.Style |= yaml.FlowStyle
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, &v)
	}
	if s.Fault == nil {
		return node, nil
	}
	options, err := written(s.Fault)
	node.Content = append(node.Content, options...)
	return node, err
}

func readDuration(d *time.Duration, v *yaml.Node) string {
	const want = "a duration such as 3s or 250ms"
	if v.Kind != yaml.ScalarNode {
		return want
	}
	parsed, err := time.ParseDuration(v.Value)
	if err != nil {
		return want
	}
	*d = parsed
	return ""
}

// writeDuration leaves out the zero minutes and seconds that Duration.String ends with.
func writeDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func readTrigger(t *Trigger, v *yaml.Node) string {
	if v.Kind == yaml.ScalarNode {
		if parsed, ok := parseTrigger(v.Value); ok {
			*t = parsed
			return ""
		}
	}
	return wantTrigger
}

func readTarget(t *Target, v *yaml.Node) string {
	const want = "a word such as one or primary, or a list of node names"
	if v.Kind == yaml.ScalarNode && isWord(v.Value) {
		t.Word = v.Value
		return ""
	}
	if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
		return want
	}
	t.Names = nil
	for _, name := range v.Content {
		name = behind(name)
		if name.Kind != yaml.ScalarNode || !isWord(name.Value) {
			return want
		}
		t.Names = append(t.Names, name.Value)
	}
	return ""
}

func readWord(word *string, v *yaml.Node) string {
	if v.Kind != yaml.ScalarNode || !isWord(v.Value) {
		return "the name of a datacenter"
	}
	*word = v.Value
	return ""
}

// readBetween keeps a target that was read too: checkTarget refuses both.
func readBetween(t *Target, v *yaml.Node) string {
	const want = "two datacenters, such as [dc1, dc2]"
	var names Target
	if v.Kind != yaml.SequenceNode || readTarget(&names, v) != "" || len(names.Names) != 2 {
		return want
	}
	t.Between = names.Names
	return ""
}

func (t Target) plain() any {
	if t.Word != "" {
		return t.Word
	}
	return t.Names
}

func readScalar(p any, v *yaml.Node, want string) string {
	if v.Tag == "!!null" || v.Kind != yaml.ScalarNode || v.Decode(p) != nil {
		return want
	}
	return ""
}

func isWord(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != ""
}

func shown(v *yaml.Node) string {
	switch v.Kind {
	case yaml.ScalarNode:
		return strconv.Quote(v.Value)
	case yaml.SequenceNode:
		if len(v.Content) == 0 {
			return "an empty list"
		}
		return "a list"
	}
	return "a mapping"
}

// unless is what is wrong with a field, if something else was wanted.
func unless(key, value *yaml.Node, want string) []string {
	if want == "" {
		return nil
	}
	return []string{unwanted(key, value, want)}
}

func unwanted(key, value *yaml.Node, want string) string {
	return mistake(value, "%s: want %s, not %s", key.Value, want, shown(value))
}

func mistake(node *yaml.Node, format string, args ...any) string {
	return fmt.Sprintf("line %d: %s", node.Line, fmt.Sprintf(format, args...))
}

// mistakes makes an error of the one kind that yaml collects instead of stopping at.
func mistakes(texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	return &yaml.TypeError{Errors: texts}
}
