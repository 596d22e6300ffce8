package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The functions of this file put conditions and measurements into short words for people:
// "4 links dropped (dc1-s1>dc1-s2, …); dc1-s3 paused".

// Words says what the conditions ask for.
func (c Conditions) Words() string {
	return tally(linksOf(c), func(l Pair) string {
		return c.Links[l].String()
	}, slices.Concat(processWords(c, func(node string) string { return string(c.Processes[node]) }),
		clockWords(c, func(node string) string { return c.Clocks[node].String() }),
		diskWords(c, func(node string) string { return "disk: " + c.Disks[node].String() })))
}

// HealedWords says that what the conditions break is to be well again.
func (c Conditions) HealedWords() string {
	return tally(linksOf(c), func(Pair) string { return "open" },
		slices.Concat(processWords(c, func(string) string { return "running" }),
			clockWords(c, func(string) string { return "clock true" }),
			diskWords(c, func(string) string { return "disk: healthy" })))
}

// WordsOf says what was measured of what the conditions break.
func (m Measurement) WordsOf(c Conditions) string {
	if m.Links == nil && m.Processes == nil {
		return "nothing measured"
	}
	return tally(untrained(m, linksOf(c)), func(l Pair) string { return linkWords(m, l) },
		slices.Concat(trainWords(m, linksOf(c)), processWords(c, func(node string) string { return lostWords(m, node) }),
			clockWords(c, func(node string) string { return m.Clocks[node].String() }),
			diskWords(c, func(node string) string { return "disk: " + m.Disks[node].String() })))
}

// Words says what was measured everywhere.
func (m Measurement) Words() string {
	if m.Links == nil && m.Processes == nil {
		return "nothing measured"
	}
	links := make([]Pair, 0, len(m.Links))
	for l := range m.Links {
		links = append(links, l)
	}
	slices.SortFunc(links, byName)
	down := Conditions{Processes: m.Processes}
	words := tally(untrained(m, links), func(l Pair) string { return linkWords(m, l) },
		slices.Concat(trainWords(m, links), processWords(down, func(node string) string { return stateWords(m.Processes[node]) })))
	return cmp.Or(words, "nothing measured")
}

func linkWords(m Measurement, l Pair) string {
	seen, ok := m.Links[l]
	switch {
	case !ok:
		return "not probed"
	case seen.UDP:
		return fmt.Sprintf("with datagrams arriving and TCP %s", seen.TCP)
	}
	return fmt.Sprintf("with datagrams lost and TCP %s", seen.TCP)
}

// untrained leaves out links over which a train of datagrams was sent.
func untrained(m Measurement, links []Pair) []Pair {
	return slices.DeleteFunc(slices.Clone(links), func(l Pair) bool { return m.Links[l].Train.Sent > 0 })
}

// trainWords sums up what trains of datagrams met: "20 links with 402 of 2000 datagrams
// lost (20.1 %), medians 0.1 to 5.3 ms".
func trainWords(m Measurement, links []Pair) []string {
	var sum TrainMeasurement
	var medians []float64 // ms
	trained := 0
	for _, l := range links {
		t := m.Links[l].Train
		if t.Sent == 0 {
			continue
		}
		trained++
		sum.Sent, sum.Arrived = sum.Sent+t.Sent, sum.Arrived+t.Arrived
		sum.Doubled, sum.Damaged, sum.Overtaken = sum.Doubled+t.Doubled, sum.Damaged+t.Damaged, sum.Overtaken+t.Overtaken
		if t.Arrived > 0 {
			medians = append(medians, float64(t.Median.Microseconds())/1000)
		}
	}
	if trained == 0 {
		return nil
	}
	lost := sum.Sent - sum.Arrived
	words := fmt.Sprintf("%s with %d of %d datagrams lost (%.1f %%)", Count(trained, "link"), lost, sum.Sent, share(lost, sum.Sent))
	if len(medians) > 0 {
		words += fmt.Sprintf(", medians %.1f to %.1f ms", slices.Min(medians), slices.Max(medians))
	}
	for _, k := range []struct {
		count int
		what  string
	}{{sum.Doubled, "doubled"}, {sum.Damaged, "damaged"}, {sum.Overtaken, "overtaken"}} {
		if k.count > 0 {
			words += fmt.Sprintf(", %.1f %% %s", share(k.count, sum.Arrived), k.what)
		}
	}
	return []string{words}
}

// processesOf says what was measured of the processes of nodes.
func (m Measurement) processesOf(names []string) string {
	var words []string
	for _, node := range names {
		words = append(words, node+" "+stateWords(m.Processes[node]))
	}
	return strings.Join(words, "; ")
}

func share(part, whole int) float64 { return 100 * float64(part) / float64(whole) }

// stateWords is a measured state. Whether a process that is not there was killed or
// ended by itself, nobody can see.
func stateWords(p ProcessState) string {
	if p == Killed {
		return "not running"
	}
	return cmp.Or(string(p), "running")
}

// lostWords is a measured state, with what a loss of power has taken.
func lostWords(m Measurement, node string) string {
	state := stateWords(m.Processes[node])
	if m.Processes[node] == PoweredOff {
		state += fmt.Sprintf(" with %s lost", Count(int(m.Disks[node].Lost), "unsynced byte"))
		if by := m.Disks[node].LostBy; by != "" {
			state += ", names " + by
		}
	}
	return state
}

func processWords(c Conditions, state func(node string) string) []string {
	return wordsOf(c.Processes, func(p ProcessState) bool { return p == Running }, state)
}

func clockWords(c Conditions, say func(node string) string) []string {
	return wordsOf(c.Clocks, Clock.Healthy, say)
}

func diskWords(c Conditions, say func(node string) string) []string {
	return wordsOf(c.Disks, Disk.Healthy, say)
}

// wordsOf says something of every node whose state is not health, sorted by name.
func wordsOf[S any](states map[string]S, healthy func(S) bool, say func(node string) string) []string {
	var words []string
	for node, state := range states {
		if !healthy(state) {
			words = append(words, node+" "+say(node))
		}
	}
	slices.Sort(words)
	return words
}

// tally counts links by what is said of them, with the first few of each kind by name.
func tally(links []Pair, say func(Pair) string, others []string) string {
	const named = 3
	by := map[string][]string{}
	var kinds []string
	for _, l := range links {
		kind := say(l)
		if by[kind] == nil {
			kinds = append(kinds, kind)
		}
		by[kind] = append(by[kind], l.String())
	}
	slices.Sort(kinds)
	var words []string
	for _, kind := range kinds {
		names, more := by[kind], ""
		if len(names) > named {
			names, more = names[:named], ", …"
		}
		words = append(words, fmt.Sprintf("%s %s (%s%s)", Count(len(by[kind]), "link"), kind, strings.Join(names, ", "), more))
	}
	return strings.Join(append(words, others...), "; ")
}

// Count says how many there are of something: "1 link", "2 links".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// linksOf lists the links that are not healthy, sorted.
func linksOf(c Conditions) []Pair {
	var links []Pair
	for l, state := range c.Links {
		if !state.Healthy() {
			links = append(links, l)
		}
	}
	slices.SortFunc(links, byName)
	return links
}

func byName(a, b Pair) int { return strings.Compare(a.String(), b.String()) }
