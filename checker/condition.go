package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"faultline/topologies"
)

// Condition is when something is promised, by what the links between datacenters are like without faults:
//
//	wan.loss <= 0.05 and wan.rtt < 300ms
//
// A comparison is of one of [topologies.WANFields], by <, <=, =, >= or >. The empty condition always holds.
type Condition string

type comparison struct {
	field topologies.WANField
	by    string
	value float64
	text  string
}

var comparisonText = regexp.MustCompile(`^(\S+) (<|<=|=|>=|>) (\S+)$`)

// parse reads the comparisons.
func (c Condition) parse() (all []comparison, err error) {
	if c == "" {
		return nil, nil
	}
	for _, text := range strings.Split(strings.Join(strings.Fields(string(c)), " "), " and ") {
		parts := comparisonText.FindStringSubmatch(text)
		if parts == nil {
			return nil, fmt.Errorf("%q is no comparison, such as wan.loss <= 0.05; several are joined by and", text)
		}
		one := comparison{by: parts[2], text: text}
		if one.field, err = topologies.FindWANField(parts[1]); err != nil {
			return nil, err
		}
		if one.value, err = one.field.Parse(parts[3]); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// holds reports whether the condition holds on every link between datacenters in question: those
// between the two that are named, in both directions, or of one with all others, or all. Of a topology of one datacenter
// none does.
func (c Condition) holds(t topologies.Topology, from, to string) bool {
	all, err := c.parse()
	if err != nil {
		return false
	}
	if from == to {
		from, to = "", ""
	}
	return !slices.ContainsFunc(all, func(one comparison) bool {
		values := append(one.field.Of(t, from, to), one.field.Of(t, to, from)...)
		return len(values) == 0 || slices.ContainsFunc(values, func(v float64) bool { return !one.admits(v) })
	})
}

// nearly is how far two numbers may be apart that are the same but for how they were computed.
const nearly = 1e-9

func (c comparison) admits(v float64) bool {
	same := v-c.value < nearly && c.value-v < nearly
	switch c.by {
	case "=":
		return same
	case "<":
		return v < c.value && !same
	case "<=":
		return v < c.value || same
	case ">":
		return v > c.value && !same
	}
	return v > c.value || same
}
