package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"faultline"
	"faultline/checker/report"
	"faultline/checker/rundir"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// mostCells bounds a sweep: more than that is a mistake.
const mostCells = 10_000

// ParseAxes reads what is varied, KEY=VALUE,VALUE… each.
func ParseAxes(texts []string) ([]report.Axis, error) {
	var all []report.Axis
	cells := 1
	for _, text := range texts {
		key, list, found := strings.Cut(text, "=")
		values := strings.Split(list, ",")
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
		switch {
		case !found || key == "" || slices.Contains(values, ""):
			return nil, fmt.Errorf("--vary %q: want KEY=VALUE,VALUE…, such as wan.loss=0,0.05 or rate=100,300", text)
		case slices.ContainsFunc(all, func(a report.Axis) bool { return a.Key == key }):
			return nil, fmt.Errorf("--vary %s is given twice", key)
		case len(slices.Compact(slices.Sorted(slices.Values(values)))) < len(values):
			return nil, fmt.Errorf("--vary %s: a value stands twice", text)
		}
		if cells *= len(values); cells > mostCells {
			return nil, fmt.Errorf("--vary asks for more than %d runs", mostCells)
		}
		all = append(all, report.Axis{Key: key, Values: values})
	}
	if len(all) == 0 {
		return nil, errors.New("a sweep varies something: give --vary KEY=VALUE,VALUE…, such as wan.loss=0,0.05 or rate=100,300")
	}
	return all, nil
}

func axesText(axes []report.Axis) string {
	var lines []string
	for _, a := range axes {
		lines = append(lines, a.Key+"="+strings.Join(a.Values, ","))
	}
	return strings.Join(lines, "\n")
}

// cellsOf are all combinations, the last axis turning fastest. All that is wrong with any is reported at once.
func cellsOf(s faultline.Scenario, axes []report.Axis) (cells []sweepCell, err error) {
	combinations := [][]string{nil}
	for _, a := range axes {
		var longer [][]string
		for _, c := range combinations {
			for _, v := range a.Values {
				longer = append(longer, append(slices.Clone(c), v))
			}
		}
		combinations = longer
	}
	var wrong []error
	seen := map[string]bool{}
	for i, values := range combinations {
		c, err := cellOf(s, axes, values, i)
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			wrong = append(wrong, err)
		}
		cells = append(cells, c)
	}
	if len(wrong) > 0 {
		return nil, &faultline.UsageError{Err: errors.Join(wrong...)}
	}
	return cells, nil
}

func cellOf(s faultline.Scenario, axes []report.Axis, values []string, number int) (c sweepCell, err error) {
	var edits []func(*faults.Link)
	words := []string{fmt.Sprintf("%03d", number)}
	for i, a := range axes {
		words = append(words, a.Key, values[i])
		switch {
		case strings.HasPrefix(a.Key, topologies.WANPrefix):
			field, err := topologies.FindWANField(a.Key)
			if err != nil {
				return c, fmt.Errorf("--vary %w", err)
			}
			value, err := field.Parse(values[i])
			if err != nil {
				return c, fmt.Errorf("--vary %w", err)
			}
			edits = append(edits, func(l *faults.Link) { field.Set(l, value) })
		case a.Key == "name":
			return c, errors.New("--vary name: the name is that of the sweep; every cell has a folder of its own")
		default:
			if s, err = s.With(a.Key, values[i]); err != nil {
				return c, fmt.Errorf("--vary %w", err)
			}
		}
	}
	c = sweepCell{name: folderName(words), values: values, scenario: s}
	if len(edits) == 0 {
		return c, nil
	}
	t, err := topologies.Load(s.Topology)
	if err != nil {
		return c, err
	}
	if len(t.Datacenters) < 2 {
		return c, fmt.Errorf("--vary wan.… is about links between datacenters, and topology %s has one datacenter: take one of several", t.Name)
	}
	c.topology = t.WithWAN(func(l *faults.Link) {
		for _, edit := range edits {
			edit(l)
		}
	})
	if err := c.topology.CheckLinks(); err != nil {
		return c, fmt.Errorf("%s: %w", report.Sweep{Axes: axes}.Label(c.empty()), err)
	}
	c.scenario.Topology = faultline.Scenario{}.Defaults().Topology // that of the options takes its place
	return c, nil
}

// mostOfAFolder bounds the name of a folder, which is there for people: its number makes it unique.
const mostOfAFolder = 80

// folderName makes the name of a folder of words.
func folderName(words []string) string {
	safe := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.Join(words, "-"))
	return safe[:min(len(safe), mostOfAFolder)]
}

// differs shows the first line that is not the same.
func differs(was, is string) string {
	before, now := strings.Split(was, "\n"), strings.Split(is, "\n")
	line := func(lines []string, i int) string {
		if i >= len(lines) || lines[i] == "" {
			return "nothing"
		}
		return fmt.Sprintf("%q", strings.TrimSpace(lines[i]))
	}
	for i := range max(len(before), len(now)) {
		if a, b := line(before, i), line(now, i); a != b {
			return fmt.Sprintf("%s there, %s here", a, b)
		}
	}
	return "it differs in its spaces"
}

func writeJSON(dir, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return rundir.Write(dir, name, string(text)+"\n")
}

// readJSON reads a file if it is there.
func readJSON(dir, name string, v any) (found bool, err error) {
	data, err := rundir.Read(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return false, &faultline.UsageError{Err: fmt.Errorf("%s: %w", filepath.Join(dir, name), err)}
	}
	return true, nil
}
