package nemesis

import (
	"fmt"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// field is one key of a step in YAML. read gives back what was expected if the value is
// not that; write gives nil for what is left out.
type field struct {
	name  string
	read  func(s *Step, v *yaml.Node) (want string)
	write func(s Step) any
}

const wantCount = "a whole number from 0 on"

// fields stand in the order in which they are written.
var fields = slices.Concat(stepFields, linkFields, clockFields, diskFields, damageFields)

var stepFields = []field{
	{"at",
		func(s *Step, v *yaml.Node) string { return readDuration(&s.At, v) },
		func(s Step) any { return writeDuration(s.At) }},
	{"for",
		func(s *Step, v *yaml.Node) string { return readDuration(&s.For, v) },
		func(s Step) any { return unlessZero(s.For != 0, writeDuration(s.For)) }},
	{"fault",
		func(s *Step, v *yaml.Node) string { return readWord(&s.Fault, v) },
		func(s Step) any { return unlessZero(s.Fault != "", s.Fault) }},
	{"target",
		func(s *Step, v *yaml.Node) string { return readTarget(&s.Target, v) },
		func(s Step) any { return writeTarget(s.Target) }},
	{"oneway",
		func(s *Step, v *yaml.Node) string { return readWord(&s.OneWay, v) },
		func(s Step) any { return unlessZero(s.OneWay != "", s.OneWay) }},
	boolField("reject", func(s *Step) *bool { return &s.Reject }),
	boolField("torn", func(s *Step) *bool { return &s.Torn }),
	{"names",
		func(s *Step, v *yaml.Node) string { return readWord(&s.Names, v) },
		func(s Step) any { return unlessZero(s.Names != "", s.Names) }},
	boolField("below-majority", func(s *Step) *bool { return &s.BelowMajority }),
	{"draw",
		func(s *Step, v *yaml.Node) string { return readScalar(&s.Draw, v, wantCount) },
		func(s Step) any { return unlessZero(s.Draw != 0, s.Draw) }},
	{"reads",
		func(s *Step, v *yaml.Node) string { return readScalar(&s.Reads, v, "a whole number") },
		func(s Step) any { return unlessZero(s.Reads != 0, s.Reads) }},
}

// linkFields are those of a link fault: what happens to packets.
var linkFields = []field{
	shareField("loss", func(s *Step) *float64 { return &s.Link.Loss }),
	shareField("burst-loss", func(s *Step) *float64 { return &s.Link.BurstLoss }),
	numberField("burst", "a number of packets such as 5", func(s *Step) *float64 { return &s.Link.Burst }),
	timeField("delay", func(s *Step) *time.Duration { return &s.Link.Delay }),
	timeField("jitter", func(s *Step) *time.Duration { return &s.Link.Jitter }),
	boolField("scramble", func(s *Step) *bool { return &s.Link.Scramble }),
	shareField("reorder", func(s *Step) *float64 { return &s.Link.Reorder }),
	shareField("duplicate", func(s *Step) *float64 { return &s.Link.Duplicate }),
	shareField("corrupt", func(s *Step) *float64 { return &s.Link.Corrupt }),
	{"rate",
		func(s *Step, v *yaml.Node) string {
			return readScalar(&s.Link.Rate, v, "a whole number of bytes a second")
		},
		func(s Step) any { return unlessZero(s.Link.Rate != 0, s.Link.Rate) }},
	{"queue",
		func(s *Step, v *yaml.Node) string { return readScalar(&s.Link.Queue, v, "a whole number of bytes") },
		func(s Step) any { return unlessZero(s.Link.Queue != 0, s.Link.Queue) }},
}

// clockFields are those of a clock fault: what clocks show.
var clockFields = []field{
	timeField("offset", func(s *Step) *time.Duration { return &s.Clock.Offset }),
	numberField("drift", "seconds gained a second such as 0.1", func(s *Step) *float64 { return &s.Clock.Drift }),
	timeField("strobe", func(s *Step) *time.Duration { return &s.Clock.Strobe }),
	timeField("period", func(s *Step) *time.Duration { return &s.Clock.Period }),
	numberField("monotonic", "seconds gained a second such as 0.1", func(s *Step) *float64 { return &s.Clock.Monotonic }),
	timeField("forward", func(s *Step) *time.Duration { return &s.Clock.Forward }),
}

// diskFields are those of a disk fault.
var diskFields = []field{
	boolField("lying-fsync", func(s *Step) *bool { return &s.Disk.Lie }),
	timeField("slow-fsync", func(s *Step) *time.Duration { return &s.Disk.SlowSync }),
	boolField("failing-fsync", func(s *Step) *bool { return &s.Disk.FailSync }),
	boolField("failing-reads", func(s *Step) *bool { return &s.Disk.FailRead }),
	boolField("failing-writes", func(s *Step) *bool { return &s.Disk.FailWrite }),
	boolField("full", func(s *Step) *bool { return &s.Disk.Full }),
}

// damageFields are those of bit-flip and truncate.
var damageFields = []field{
	{"file",
		func(s *Step, v *yaml.Node) string { return readPattern(&s.File, v) },
		func(s Step) any { return unlessZero(s.File != "", s.File) }},
}

func timeField(name string, of func(*Step) *time.Duration) field {
	return field{name,
		func(s *Step, v *yaml.Node) string { return readDuration(of(s), v) },
		func(s Step) any { return unlessZero(*of(&s) != 0, writeDuration(*of(&s))) }}
}

func boolField(name string, of func(*Step) *bool) field {
	return field{name,
		func(s *Step, v *yaml.Node) string { return readScalar(of(s), v, "true or false") },
		func(s Step) any { return unlessZero(*of(&s), *of(&s)) }}
}

func shareField(name string, of func(*Step) *float64) field {
	return numberField(name, "a share of packets such as 0.2", of)
}

// numberField takes every number that compares with itself, which not-a-number does not.
func numberField(name, want string, of func(*Step) *float64) field {
	return field{name,
		func(s *Step, v *yaml.Node) string {
			if want := readScalar(of(s), v, want); want != "" {
				return want
			}
			if math.IsNaN(*of(s)) {
				*of(s) = 0
				return want
			}
			return ""
		},
		func(s Step) any { return unlessZero(*of(&s) != 0, *of(&s)) }}
}

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
			if want := readScalar(&s.Seed, value, wantCount); want != "" {
				return []string{unwanted(key, value, want)}
			}
			return nil
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

func readStep(node *yaml.Node) (s Step, wrong []string) {
	if node.Kind != yaml.MappingNode {
		return s, []string{mistake(node, "a step looks like {at: 3s, for: 5s, fault: kill, target: one}")}
	}
	s.line = node.Line
	return s, eachField(node, func(key, value *yaml.Node) []string {
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value })
		if at < 0 {
			return []string{mistake(key, "unknown field %q; a step has %s", key.Value, strings.Join(namesOf(fields), ", "))}
		}
		if want := fields[at].read(&s, value); want != "" {
			return []string{unwanted(key, value, want)}
		}
		return nil
	})
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
	for _, f := range fields {
		value := f.write(s)
		if value == nil {
			continue
		}
		var v yaml.Node
		if err := v.Encode(value); err != nil {
			return nil, err
		}
		v.Style |= styleOf(v)
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: f.name}, &v)
	}
	return node, nil
}

func styleOf(v yaml.Node) yaml.Style {
	if v.Kind == yaml.SequenceNode {
		return yaml.FlowStyle
	}
	return 0
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

// readPattern takes a pattern of path.Match that stays below the directory it starts from.
func readPattern(s *string, v *yaml.Node) string {
	const want = "a pattern from the data directory such as raft/*"
	if v.Kind != yaml.ScalarNode || v.Value == "" || !filepath.IsLocal(v.Value) {
		return want
	}
	if _, err := path.Match(v.Value, ""); err != nil {
		return want
	}
	*s = v.Value
	return ""
}

// readWord takes what could be the name of a fault, a node or a setting.
func readWord(s *string, v *yaml.Node) string {
	if v.Kind != yaml.ScalarNode || !isWord(v.Value) {
		return "a word of letters, digits and dashes"
	}
	*s = v.Value
	return ""
}

func readTarget(t *Target, v *yaml.Node) string {
	const want = "a word such as one or primary, or a list of node names"
	if v.Kind == yaml.ScalarNode && isWord(v.Value) {
		*t = Target{Word: v.Value}
		return ""
	}
	if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
		return want
	}
	*t = Target{}
	for _, name := range v.Content {
		name = behind(name)
		if name.Kind != yaml.ScalarNode || !isWord(name.Value) {
			return want
		}
		t.Names = append(t.Names, name.Value)
	}
	return ""
}

func writeTarget(t Target) any {
	if t.Word != "" {
		return t.Word
	}
	return unlessZero(len(t.Names) > 0, t.Names)
}

func readScalar[T any](p *T, v *yaml.Node, want string) string {
	if v.Tag == "!!null" || v.Kind != yaml.ScalarNode || v.Decode(p) != nil {
		return want
	}
	return ""
}

func unlessZero(given bool, value any) any {
	if given {
		return value
	}
	return nil
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

func namesOf(fields []field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
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
