package topologies

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"faultline/nodes/faults"
)

// WANPrefix is before the names of what the links between datacenters are like, where they
// are named from outside of a topology: wan.loss, wan.rtt.
const WANPrefix = "wan."

// WANField is one thing that the links between datacenters have, as a number that can be
// set and compared. Times are in seconds, shares from 0 to 1.
type WANField struct {
	Name string // without WANPrefix
	time bool
	get  func(there, back faults.Link) float64
	set  func(*faults.Link, float64)
}

// WANFields lists them: rtt, which is both ways, and the numbers of [faults.Link] by their YAML names.
func WANFields() []WANField { return slices.Clone(wanFields) }

var wanFields = []WANField{
	{"loss", false, one(func(l faults.Link) float64 { return l.Loss }), func(l *faults.Link, v float64) { l.Loss = v }},
	{"burst-loss", false, one(func(l faults.Link) float64 { return l.BurstLoss }), func(l *faults.Link, v float64) { l.BurstLoss = v }},
	{"burst", false, one(func(l faults.Link) float64 { return l.Burst }), func(l *faults.Link, v float64) { l.Burst = v }},
	{"rtt", true, func(there, back faults.Link) float64 { return (there.Delay + back.Delay).Seconds() },
		func(l *faults.Link, v float64) { l.Delay = ofSeconds(v / 2) }},
	{"delay", true, one(func(l faults.Link) float64 { return l.Delay.Seconds() }), func(l *faults.Link, v float64) { l.Delay = ofSeconds(v) }},
	{"jitter", true, one(func(l faults.Link) float64 { return l.Jitter.Seconds() }), func(l *faults.Link, v float64) { l.Jitter = ofSeconds(v) }},
	{"reorder", false, one(func(l faults.Link) float64 { return l.Reorder }), func(l *faults.Link, v float64) { l.Reorder = v }},
	{"hold-back", true, one(func(l faults.Link) float64 { return l.HoldBack.Seconds() }), func(l *faults.Link, v float64) { l.HoldBack = ofSeconds(v) }},
	{"duplicate", false, one(func(l faults.Link) float64 { return l.Duplicate }), func(l *faults.Link, v float64) { l.Duplicate = v }},
	{"corrupt", false, one(func(l faults.Link) float64 { return l.Corrupt }), func(l *faults.Link, v float64) { l.Corrupt = v }},
	{"rate", false, one(func(l faults.Link) float64 { return float64(l.Rate) }), func(l *faults.Link, v float64) { l.Rate = int64(v) }},
	{"queue", false, one(func(l faults.Link) float64 { return float64(l.Queue) }), func(l *faults.Link, v float64) { l.Queue = int64(v) }},
}

// one is what the link there is like, whatever the one back is.
func one(get func(faults.Link) float64) func(there, back faults.Link) float64 {
	return func(there, _ faults.Link) float64 { return get(there) }
}

func ofSeconds(s float64) time.Duration { return time.Duration(math.Round(s * float64(time.Second))) }

// FindWANField finds one by its name with WANPrefix.
func FindWANField(name string) (WANField, error) {
	bare, ok := strings.CutPrefix(name, WANPrefix)
	var names []string
	for _, f := range wanFields {
		if ok && f.Name == bare {
			return f, nil
		}
		names = append(names, WANPrefix+f.Name)
	}
	return WANField{}, fmt.Errorf("no %q; there is %s", name, strings.Join(names, ", "))
}

// longest bounds a time of a link, so that sums of them are times.
const longest = time.Hour

// Parse reads a value of the field: a time such as 40ms, or a number.
func (f WANField) Parse(text string) (float64, error) {
	if f.time {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > longest {
			return 0, fmt.Errorf("%s%s %q: want a time such as 40ms", WANPrefix, f.Name, text)
		}
		return d.Seconds(), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= math.MaxInt32) {
		return 0, fmt.Errorf("%s%s %q: want a number of 0 or more, such as %s", WANPrefix, f.Name, text, map[bool]string{true: "500000", false: "0.05"}[f.Name == "rate" || f.Name == "queue"])
	}
	return v, nil
}

// Set gives a link the value; of rtt, its half.
func (f WANField) Set(l *faults.Link, value float64) { f.set(l, value) }

// Of is what the field is on the links from the nodes of one datacenter to those of another, each value
// once, rising; datacenters that are not named are all. There is none without links between datacenters.
func (f WANField) Of(t Topology, from, to string) (values []float64) {
	all := t.Nodes()
	for _, a := range all {
		for _, b := range all {
			if a.DC != b.DC && (from == "" || a.DC == from) && (to == "" || b.DC == to) {
				values = append(values, f.get(t.Link(a, b), t.Link(b, a)))
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}
