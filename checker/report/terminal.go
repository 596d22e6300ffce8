package report

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"faultline/checker"
	"faultline/workloads/history"
)

// Styles are ANSI's "select graphic rendition", ECMA-48 8.3.117.
const (
	bold  = "1"
	faint = "2"
)

var colours = map[checker.Verdict]string{checker.Valid: "32", checker.Invalid: "31", checker.Unknown: "33", checker.NotApplicable: "2"}

// maxTerminalStories bounds how much of a terminal one run may fill.
const maxTerminalStories = 2

// screen writes lines no wider than a terminal.
type screen struct {
	b     strings.Builder
	color bool
	width int
}

// style colours a text, if colours are wanted.
func (s *screen) style(text string, codes ...string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[0m"
}

// wrap writes a text after a prefix of the given visible width and indents what follows.
func (s *screen) wrap(prefix string, visible int, text string) {
	indent := strings.Repeat(" ", visible)
	for i, line := range Wrapped(VisibleLine(text), max(s.width-visible, 20)) {
		if i == 0 {
			s.b.WriteString(prefix + line + "\n")
		} else {
			s.b.WriteString(indent + line + "\n")
		}
	}
}

// Wrapped breaks a text between words into lines of at most width characters. A longer word stays
// whole, so that a path or a command can be copied. The result has at least one line.
func Wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}

// Terminal returns a short summary of one run. Sentences are wrapped at width characters, paths and
// commands stay on one line; a width below 40 is taken as 100. With color it holds ANSI escapes.
// It ends with a newline.
func Terminal(d Data, color bool, width int) string {
	s := &screen{color: color, width: terminalWidth(width)}
	s.b.WriteString(s.style(mark(d.Verdict)+" "+strings.ToUpper(VisibleLine(string(d.Verdict))), bold, colour(d.Verdict)) + "  " +
		s.style(VisibleLine(d.Scenario), bold) + "  " + s.style(VisibleLine(circumstances(d)), faint) + "\n")
	s.wrap("  ", 2, headline(d))
	for _, note := range d.Notes {
		s.wrap("  "+s.style("note: ", colours[checker.Unknown]), 8, note)
	}
	s.b.WriteString("\n")
	s.checkers(d)
	s.wrap("  ", 2, keyMetrics(d))
	for _, r := range troubles(d.Results) {
		s.stories(r, d)
	}
	s.b.WriteString("\n")
	if d.Dir != "" {
		s.b.WriteString("  " + s.style("report  ", faint) + VisibleLine(filepath.Join(d.Dir, "report.html")) + "\n")
	}
	if d.Command != "" {
		s.b.WriteString("  " + s.style("repeat  ", faint) + VisibleLine(d.Command) + "\n")
	}
	return s.b.String()
}

func terminalWidth(width int) int {
	if width < 40 {
		return 100
	}
	return width
}

func colour(v checker.Verdict) string { return cmp.Or(colours[v], colours[checker.Unknown]) }

// circumstances is where and how a run was made.
func circumstances(d Data) string {
	run := d.run()
	parts := []string{d.System, d.Runtime, run.Topology.Name, string(run.Settings.Mode), span(d.Length)}
	if d.Seed != 0 {
		parts = append(parts, fmt.Sprintf("seed %d", d.Seed))
	}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " · ")
}

// checkers writes a line for each, and its reasons if it is not valid.
func (s *screen) checkers(d Data) {
	results, longest := d.Results, 0
	for _, r := range results {
		longest = max(longest, utf8.RuneCountInString(VisibleLine(r.Checker)))
	}
	for _, r := range results {
		name, summary := fmt.Sprintf("%-*s", longest, VisibleLine(r.Checker)), r.Summary
		if sentenceOf(r) == headline(d) { // which stands above in full
			summary = shorten(summary, max(s.width-longest-6, 20))
		}
		s.wrap("  "+s.style(mark(r.Verdict), colour(r.Verdict))+" "+name+"  ", longest+6, summary)
		if r.Verdict == checker.Valid {
			continue
		}
		for _, reason := range otherReasons(r, maxTerminalStories) {
			s.wrap(strings.Repeat(" ", longest+6)+"- ", longest+8, shorten(reason, 400))
		}
		if text := budget(r); text != "" && r.Budget.Exhausted {
			s.wrap(strings.Repeat(" ", longest+6)+"- ", longest+8, text)
		}
	}
	if len(results) > 0 {
		s.b.WriteString("\n")
	}
}

// keyMetrics are the key metrics of a run, in one sentence.
func keyMetrics(d Data) string {
	run := d.run()
	var durations []int64
	for _, op := range run.Ops {
		if op.Type == history.OK {
			durations = append(durations, op.Return-op.Invoke)
		}
	}
	text := fmt.Sprintf("%s (%s)", count(len(run.Ops), "operation"), tallyOf(run.Ops))
	if len(durations) > 0 {
		q := quantilesOf(durations)
		text += fmt.Sprintf(", p50 %s, p99 %s", span(time.Duration(q.P50)), span(time.Duration(q.P99)))
	}
	leaders := leaderships(stateSpans(run.Events, extent(d)))
	return text + fmt.Sprintf("; %s (%s); %s of leadership", count(len(run.Faults), "fault"), faultNames(run.Faults),
		count(changes(run.Topology, leaders), "change"))
}

func (s *screen) stories(r checker.Result, d Data) {
	for i, c := range r.Counterexamples {
		s.b.WriteString("\n")
		if i == maxTerminalStories {
			s.wrap("  ", 2, count(len(r.Counterexamples)-i, "more counterexample")+" in the report")
			return
		}
		story := storyOf(i+1, c, d.run())
		title := fmt.Sprintf("counterexample %d, key %s", story.Number, VisibleLine(story.Key))
		s.b.WriteString("  " + s.style(title, bold) + "\n")
		s.wrap("    ", 4, story.Why)
		for _, line := range storyLines(story) {
			s.wrap("    ", 7, line)
		}
	}
}

// TerminalSuite returns a table of several runs and their worst verdict. color and width are as
// for [Terminal].
func TerminalSuite(runs []Data, color bool, width int) string {
	s := &screen{color: color, width: terminalWidth(width)}
	name := len("scenario")
	for _, d := range runs {
		name = max(name, utf8.RuneCountInString(VisibleLine(d.Scenario)))
	}
	row := fmt.Sprintf("%%-%ds  %%-7s  %%8s  %%6s  %%7s  %%10s  ", name)
	used := utf8.RuneCountInString(fmt.Sprintf(row, "", "", "", "", "", "")) + 2
	s.b.WriteString(s.style(fmt.Sprintf("  "+row+"%s", "scenario", "verdict", "ops", "faults", "seconds", "seed", "why"), faint) + "\n")
	counts := map[checker.Verdict]int{}
	for _, d := range runs {
		counts[d.Verdict]++
		why := ""
		if d.Verdict != checker.Valid {
			why = shorten(VisibleLine(headline(d)), max(s.width-used, 24))
		}
		line := fmt.Sprintf(row, VisibleLine(d.Scenario), VisibleLine(string(d.Verdict)), thousands(len(d.run().Ops)),
			thousands(len(d.run().Faults)), fmt.Sprintf("%.1f", d.Length.Seconds()), seed(d))
		s.b.WriteString(strings.TrimRight(s.style(mark(d.Verdict), colour(d.Verdict))+" "+line+why, " ") + "\n")
	}
	verdict := worst(runs)
	s.b.WriteString("\n" + s.style(fmt.Sprintf("%s %s", mark(verdict), strings.ToUpper(string(verdict))), bold, colour(verdict)) +
		fmt.Sprintf("  %s: %d valid, %d invalid, %d unknown\n", count(len(runs), "scenario"),
			counts[checker.Valid], counts[checker.Invalid], len(runs)-counts[checker.Valid]-counts[checker.Invalid]))
	return s.b.String()
}
