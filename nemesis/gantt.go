package nemesis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"faultline/topologies"
)

// minWidth is the narrowest chart that still shows something.
const minWidth = 50

// Gantt draws a schedule for a terminal: a row for every step, in the order of their
// starts, with whom it hits, and a bar over time; a momentary fault is a diamond.
func Gantt(s Schedule, t topologies.Topology, width int) string {
	if len(s.Steps) == 0 {
		return "no faults\n"
	}
	width = max(width, minWidth)
	rows := make([]int, len(s.Steps))
	var labels []string
	for i := range s.Steps {
		rows[i] = i
		labels = append(labels, fmt.Sprintf("%2d  %s", i, ganttLabel(s.Steps[i], t)))
	}
	slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(s.Steps[a].At, s.Steps[b].At) })

	labelWidth := 0
	for _, l := range labels {
		labelWidth = max(labelWidth, utf8.RuneCountInString(l))
	}
	labelWidth = min(labelWidth, width*3/5)
	scale := scaleTo(s.End(), width-labelWidth-2)

	var out strings.Builder
	line := func(label, chart string) {
		out.WriteString(strings.TrimRight(fit(label, labelWidth)+"  "+chart, " ") + "\n")
	}
	line("", scale.ticks())
	for _, i := range rows {
		line(labels[i], scale.bar(s.Steps[i]))
	}
	return out.String()
}

// ganttLabel tells, beside the step's own words, which nodes they mean, if that is known
// before the run and not said already.
func ganttLabel(s Step, t topologies.Topology) string {
	if s.check(t) != nil || s.Target.Word == "" || isRole(s.Target.Word) {
		return s.Label()
	}
	targets := s.nodes(t)
	if len(targets) == len(t.Nodes()) {
		return s.Label()
	}
	return fmt.Sprintf("%s (%s)", s.Label(), strings.Join(targets, " "))
}

// timescale maps time to columns.
type timescale struct {
	end     time.Duration
	tick    time.Duration
	columns int
}

// tickWidth is the columns from one tick to the next: room for 2h30m and a space.
const tickWidth = 8

// wideTick is tickWidth where ticks are some days apart: room for 2556144h.
const wideTick = 12

// tickSteps are times between two ticks that a reader can count in.
var tickSteps = []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

func scaleTo(end time.Duration, columns int) timescale {
	sc := timescale{end: max(end, time.Second), columns: columns}
	for _, sc.tick = range tickSteps {
		if int64(sc.end/sc.tick)*tickWidth <= int64(columns) {
			return sc
		}
	}
	sc.tick *= sc.end/sc.tick/time.Duration(max(columns/wideTick, 2)) + 1
	return sc
}

// column is where a time stands; what is out of range stands at the edge.
func (sc timescale) column(at time.Duration) int {
	return min(max(int(float64(at)/float64(sc.end)*float64(sc.columns)), 0), sc.columns-1)
}

func (sc timescale) ticks() string {
	row := []rune(strings.Repeat(" ", sc.columns))
	for i := range int64(sc.end/sc.tick) + 1 { // counted, as a sum of times could overflow
		at := time.Duration(i) * sc.tick
		label := []rune("|" + writeDuration(at))
		if from := sc.column(at); from+len(label) <= len(row) {
			copy(row[from:], label)
		}
	}
	return string(row)
}

func (sc timescale) bar(s Step) string {
	from := sc.column(s.At)
	if s.lasts() == 0 {
		return strings.Repeat(" ", from) + "◆"
	}
	to := sc.column(s.over())
	return strings.Repeat(" ", from) + strings.Repeat("█", max(1, to-from))
}

// fit pads or cuts a label.
func fit(label string, width int) string {
	runes := []rune(label)
	if len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return label + strings.Repeat(" ", width-len(runes))
}
