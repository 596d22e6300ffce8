package report

import (
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// svg writes the elements of a drawing. Every attribute and text goes through its
// escape, so what the system under test said can be drawn as it is.
type svg struct{ b strings.Builder }

// attrs are names and values in turn.
type attrs []string

func (s *svg) tag(name string, a attrs, end string) {
	s.b.WriteString("<" + name)
	for i := 0; i+1 < len(a); i += 2 {
		s.b.WriteString(" " + a[i] + `="` + html.EscapeString(VisibleLine(a[i+1])) + `"`)
	}
	s.b.WriteString(end)
}

func (s *svg) open(name string, a ...string) { s.tag(name, a, ">") }
func (s *svg) leaf(name string, a ...string) { s.tag(name, a, "/>") }
func (s *svg) close(name string)             { s.b.WriteString("</" + name + ">") }

// text writes an element that holds only text; lines stay lines.
func (s *svg) text(name, content string, a ...string) {
	s.open(name, a...)
	for i, line := range strings.Split(content, "\n") {
		if i > 0 {
			s.b.WriteString("\n")
		}
		s.b.WriteString(html.EscapeString(VisibleLine(line)))
	}
	s.close(name)
}

// rect draws a box with a tooltip, if title is not empty.
func (s *svg) rect(class string, x, y, w, h float64, title string) {
	a := attrs{"class", class, "x", px(x), "y", px(y), "width", px(max(w, 0.5)), "height", px(h)}
	if title == "" {
		s.leaf("rect", a...)
		return
	}
	s.open("rect", a...)
	s.text("title", title)
	s.close("rect")
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	s.leaf("line", "class", class, "x1", px(x1), "y1", px(y1), "x2", px(x2), "y2", px(y2))
}

// html is the drawing. It is safe because tag and text escape all that they are given.
func (s *svg) html() template.HTML { return template.HTML(s.b.String()) }

// px writes a coordinate with a tenth of a pixel.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// scale maps the times of a run to the width of a plot.
type scale struct {
	end   int64
	width float64
}

func (s scale) x(t int64) float64 {
	return float64(min(max(t, 0), s.end)) / float64(s.end) * s.width
}

// tick is a mark on an axis.
type tick struct {
	At    int64
	Label string
}

// tickSteps are times between two ticks that a reader can count in.
var tickSteps = []time.Duration{time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// timeTicks are round times from 0 to end, at most one more than the wanted number, which is
// at least 2: for one, its step of whole days could be longer than an int64.
func timeTicks(end int64, wanted int) []tick {
	step := int64(0)
	for _, round := range tickSteps {
		if step = int64(round); end/step <= int64(wanted) {
			break
		}
	}
	if days := end / step; days > int64(wanted) {
		step *= days/int64(wanted) + 1
	}
	var all []tick
	for i := range end/step + 1 { // counted, as a sum of times could overflow
		all = append(all, tick{i * step, shortTime(i * step)})
	}
	return all
}

// shortTime labels an axis: 500ms, 12s, 2m30s.
func shortTime(ns int64) string {
	if ns == 0 {
		return "0"
	}
	text := time.Duration(ns).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// decades are the powers of ten of a logarithmic axis that holds low to high.
func decades(low, high int64) []int64 {
	at := int64(1)
	for at <= max(low, 1)/10 {
		at *= 10
	}
	all := []int64{at}
	for at < high && at < math.MaxInt64/10 {
		at *= 10
		all = append(all, at)
	}
	return all
}
