package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"faultline"
)

// plainEvery is how often a status goes to an output that is no terminal.
const plainEvery = 10 * time.Second

// live shows a run as it goes: in a terminal one line that is rewritten every second
// below what happened, elsewhere plain lines.
type live struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	width    func() int // columns; a longer line would wrap, and only its last row be erased
	start    time.Time
	last     time.Time // of the status lines on a plain output
	shown    bool      // a status line stands at the cursor
}

func (l *live) Say(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	fmt.Fprintf(l.out, "%6.1fs  %s\n", time.Since(l.start).Seconds(), text)
}

func (l *live) Status(s faultline.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%6.1fs  %s", time.Since(l.start).Seconds(), words(s))
	switch {
	case l.terminal:
		l.erase()
		fmt.Fprint(l.out, cut(line, l.width()))
		l.shown = true
	case time.Since(l.last) >= plainEvery:
		l.last = time.Now()
		fmt.Fprintln(l.out, line)
	}
}

// words is a status, first what one looks for first: a narrow terminal cuts off the end.
func words(s faultline.Status) string {
	faults := cmp.Or(strings.Join(s.Faults, " + "), "no fault")
	return fmt.Sprintf("%s: %s, %.0f s left  %.0f ops/s  leader %s  %s  ok %d fail %d info %d",
		s.Scenario, s.Phase, s.Left.Seconds(), s.OpsPerSec, cmp.Or(s.Leader, "none"), faults, s.OK, s.Fail, s.Info)
}

// clear makes room for a report.
func (l *live) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
}

func (l *live) erase() {
	if l.shown {
		fmt.Fprint(l.out, "\r\x1b[K")
		l.shown = false
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
