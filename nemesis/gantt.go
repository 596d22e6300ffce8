package nemesis

import (
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
	slices.SortStableFunc(rows, func(a, b int) int { return int(s.Steps[a].At - s.Steps[b].At) })

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
	f, err := s.check(t)
	if err != nil || s.Target.Word == "" || s.Target.Word == Primary {
		return s.Label()
	}
	hit := f.Nodes(t, s)
	if len(hit) == len(t.Nodes()) {
		return s.Label()
	}
	return fmt.Sprintf("%s (%s)", s.Label(), strings.Join(hit, " "))
}

// timescale maps time to columns.
type timescale struct {
	end     time.Duration
	tick    time.Duration
	columns int
}

func scaleTo(end time.Duration, columns int) timescale {
	end = max(end, time.Second)
	tick := time.Second
	for _, factor := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600} {
		tick = factor * time.Second
		const apart = 8 // columns between two ticks
		if int(end/tick)*apart <= columns {
			break
		}
	}
	return timescale{end: end, tick: tick, columns: columns}
}

func (sc timescale) column(at time.Duration) int {
	return min(int(float64(at)/float64(sc.end)*float64(sc.columns)), sc.columns-1)
}

func (sc timescale) ticks() string {
	row := []rune(strings.Repeat(" ", sc.columns))
	for at := time.Duration(0); at <= sc.end; at += sc.tick {
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
	to := sc.column(s.At + s.lasts())
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
