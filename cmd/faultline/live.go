package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"faultline"
	"faultline/checker/report"
)

// plainEvery is how often a status goes to an output that is no terminal.
const plainEvery = 10 * time.Second

// forgotten is after how long a status is taken to be of a run that has ended.
const forgotten = 3 * time.Second

// live shows runs as they go: in a terminal a line for each that is rewritten every second
// below what happened, elsewhere plain lines.
type live struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	width    func() int // columns; a longer line would wrap, and only its last row be erased
	start    time.Time
	runs     []status  // in the order in which they began
	last     time.Time // of the status lines on a plain output
	shown    int       // status lines that stand at the cursor and above it
}

type status struct {
	faultline.Status
	at time.Time
}

func (l *live) Say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	fmt.Fprintf(l.out, "%6.1fs  %s\n", time.Since(l.start).Seconds(), report.Visible(text))
}

func (l *live) Status(s faultline.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(s)
	switch {
	case l.terminal:
		l.erase()
		l.draw()
	case time.Since(l.last) >= plainEvery:
		l.last = time.Now()
		for _, run := range l.runs {
			fmt.Fprintln(l.out, l.line(run))
		}
	}
}

// keep puts a status in the place of the last one of its run.
func (l *live) keep(s faultline.Status) {
	l.runs = slices.DeleteFunc(l.runs, func(run status) bool { return time.Since(run.at) > forgotten })
	at := slices.IndexFunc(l.runs, func(run status) bool { return run.Scenario == s.Scenario })
	if at < 0 {
		at, l.runs = len(l.runs), append(l.runs, status{})
	}
	l.runs[at] = status{s, time.Now()}
}

// line stays on one row: a terminal's rows are counted when they are erased.
func (l *live) line(run status) string {
	return report.VisibleLine(fmt.Sprintf("%6.1fs  %s", time.Since(l.start).Seconds(), words(run.Status)))
}

func (l *live) draw() {
	for i, run := range l.runs {
		if i > 0 {
			fmt.Fprintln(l.out)
		}
		fmt.Fprint(l.out, cut(l.line(run), l.width()))
	}
	l.shown = len(l.runs)
}

// words is a status, first what one looks for first: a narrow terminal cuts off the end.
func words(s faultline.Status) string {
	faults := cmp.Or(strings.Join(s.Faults, " + "), "no fault")
	return fmt.Sprintf("%s: %s, %.0f s left  %.0f ops/s  leader %s  %s  ok %d fail %d info %d",
		s.Scenario, s.Phase, s.Left.Seconds(), s.OpsPerSec, cmp.Or(s.Leader, "none"), faults, s.OK, s.Fail, s.Info)
}

// print writes a report to where reports go, with nothing in between.
func (l *live) print(to io.Writer, report string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	fmt.Fprint(to, report)
}

func (l *live) erase() {
	for ; l.shown > 0; l.shown-- {
		fmt.Fprint(l.out, "\r\x1b[K")
		if l.shown > 1 {
			fmt.Fprint(l.out, "\x1b[A") // the row above
		}
	}
}

// spare columns hold the ^C that a terminal echoes, and the cursor behind it.
const spare = 3

func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width-spare {
		return string(runes[:max(0, width-spare)])
	}
	return line
}
