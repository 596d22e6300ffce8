package faults

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Evidence is all that there is to tell by whether one stage of a fault (its start, its
// heal) came true: what was asked, and what was measured then, as values. Whoever makes a
// fault true fills it in and decides nothing; Gaps decides, and is a pure function of it.
type Evidence struct {
	// Want is what the whole cluster was asked to be like, and Before what it had been asked
	// before; nil if the stage asks for no conditions.
	Want   *Conditions `json:"want,omitempty"`
	Before *Conditions `json:"before,omitempty"`
	// Part is what this fault alone asks for, or takes back.
	Part Conditions `json:"part,omitzero"`
	// Nodes are all nodes of the cluster: each of them, and each link between two, must have
	// been looked at.
	Nodes    []string      `json:"nodes,omitempty"`
	Got      *Measurement  `json:"got,omitempty"` // nil: nothing was measured
	Findings []Finding     `json:"findings,omitempty"`
	Notes    []string      `json:"notes,omitempty"` // for people
	Late     time.Duration `json:"late_ns,omitempty"`
	Error    string        `json:"error,omitempty"` // what kept the stage from being made, or looked at
}

// Gaps lists, a sentence each, why the evidence does not show that the stage came true;
// empty if it does. Evidence in which nothing was looked at shows nothing.
func (e Evidence) Gaps() []string {
	if e.Error != "" {
		return []string{e.Error}
	}
	var gaps []string
	switch {
	case e.Want != nil && e.Got == nil:
		gaps = append(gaps, "nothing was measured")
	case e.Want != nil:
		gaps = Compare(e.Before, *e.Want, *e.Got, e.Nodes)
	case len(e.Findings) == 0:
		gaps = append(gaps, "nothing was looked at")
	}
	for _, f := range e.Findings {
		if !f.Holds() {
			gaps = append(gaps, f.String())
		}
	}
	return gaps
}

// Unasked lists why the evidence cannot be that of a fault's start, whatever was measured:
// where nothing is asked for, a cluster in its best health is just as asked.
func (e Evidence) Unasked() []string {
	switch {
	case e.Error != "" || e.Want == nil:
		return nil // Gaps has more to say
	case e.Part.Healthy() && len(e.Findings) == 0:
		return []string{"nothing was asked for"}
	case !e.Want.covers(e.Part):
		return []string{"what the cluster was asked for lacks " + e.Part.Words()}
	}
	return nil
}

// covers reports whether something is asked of whatever part asks something of. Two clocks
// that are asked to be wrong may come to a true one.
func (c Conditions) covers(part Conditions) bool {
	for l := range part.Links {
		if _, ok := c.Links[l]; !ok {
			return false
		}
	}
	for n, state := range part.Processes {
		if severity[c.Processes[n]] < severity[state] {
			return false
		}
	}
	for n := range part.Clocks {
		if _, ok := c.Clocks[n]; !ok {
			return false
		}
	}
	for n := range part.Disks {
		if _, ok := c.Disks[n]; !ok {
			return false
		}
	}
	return true
}

// Compare lists, a sentence each, where a measurement of nodes is not what was wanted. A
// node that was to run before and is to run now, and does not, has ended by itself; of one
// whose disk permits it, that is no fault.
func Compare(before *Conditions, want Conditions, got Measurement, nodes []string) []string {
	var ended []string
	for node, state := range got.Processes {
		ran := before != nil && !before.Processes[node].Ended()
		if state == Killed && ran && !want.Processes[node].Ended() && !want.Disks[node].EndsNodes() {
			ended = append(ended, node+" has ended by itself")
		}
	}
	slices.Sort(ended)
	return append(ended, got.mismatchesAfter(before, want, nodes)...)
}

// lateness is from when on a change says how late it was.
const lateness = 100 * time.Millisecond

// Words says what was seen, for people, of a fault that hits targets: "dc1-s2 not running; 1s late".
func (e Evidence) Words(targets []string) string {
	words := slices.Clone(e.Notes)
	for _, f := range e.Findings {
		if f.Words != "" {
			words = append(words, f.Words)
		}
	}
	if e.Want != nil {
		words = append(words, e.measured(targets)...)
	}
	if e.Late > lateness {
		words = append(words, fmt.Sprintf("%s late", e.Late.Round(lateness)))
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), "; ")
}

func (e Evidence) measured(targets []string) []string {
	var got Measurement
	if e.Got != nil {
		got = *e.Got
	}
	words := got.WordsOf(e.Part)
	switch {
	case words == "" && len(targets) == 0: // it is about all of the cluster
		words = got.Words()
	case words == "":
		words = got.processesOf(targets)
	}
	all := []string{words}
	for _, node := range slices.Sorted(maps.Keys(e.Part.Disks)) {
		if e.Part.Disks[node].EndsNodes() && got.Processes[node] == Killed && !e.Want.Processes[node].Ended() {
			all = append(all, node+" has ended by itself")
		}
	}
	return all
}

// Summary joins sentences, the first few of them; empty if there is none.
func Summary(sentences []string) string {
	const shown = 5
	if n := len(sentences); n > shown {
		return fmt.Sprintf("%s; and %d more", strings.Join(sentences[:shown], "; "), n-shown)
	}
	return strings.Join(sentences, "; ")
}
