package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"faultline/checker"
	"faultline/workloads/history"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"mark":      mark,
	"thousands": thousands[int],
	"seconds":   seconds,
	"metric":    metric,
	"budget":    budget,
	"span":      func(ns int64) string { return span(time.Duration(ns)) },
}).Parse(pageText))

// pageView is what the template prints; it decides nothing.
type pageView struct {
	Data
	CSS template.CSS
	JS  template.JS

	Headline, Meaning string
	Example           string // the worst counterexample in a sentence
	Facts             []pair
	Troubles          []trouble
	Faults            []faultRow
	Unverified        bool // any of them
	Marked            bool // a counterexample is marked in the figure
	Baseline          *history.FaultEvent
	Figure            template.HTML
	Detail            detail
	Total             tally
	Kinds             []kindRow
	Leaders           []stateSpan
	Changes           int
	Phases            []phase
	Errors            []errorRow
	Hops              []hopRow
	Ways              *waysView
	VersionPairs      []pair
	Texts             []pair
}

// trouble is a result that is not valid, with its counterexamples as stories.
type trouble struct {
	checker.Result
	Title   string   // empty if the banner has it
	Reasons []string // that nothing else says
	Stories []story
}

// HTML returns the page of one run, in UTF-8. It is self-contained: styles, script and drawings are
// in it. Of a long history it holds a sample of the operations, and counts of all of them. An error
// is a defect of this package, whatever d holds.
func HTML(d Data) ([]byte, error) {
	run, end := d.run(), extent(d)
	width := bucketWidth(end)
	buckets := bucketsOf(run.Ops, end, width)
	states := stateSpans(run.Events, end)
	leaders := leaderships(states)
	figure, lanes := drawRun(d, states, buckets, width)
	phases := phasesOf(run.Events, end)
	view := pageView{
		Data: d, CSS: template.CSS(pageCSS), JS: template.JS(pageJS),
		Headline: headline(d), Meaning: meanings[d.Verdict], Example: exampleOf(d), Facts: facts(d),
		Troubles: troubleViews(d),
		Faults:   faultRows(run), Baseline: run.Baseline,
		Figure: figure, Detail: detailOf(d, lanes, leaders, buckets, int64(width)),
		Total: tallyOf(run.Ops), Kinds: kindRows(run.Ops),
		Leaders: leaders, Changes: changes(run.Topology, leaders),
		Phases: phases, Errors: errorRows(run, phases), Hops: hopRows(run.Ops), Ways: waysOf(run),
		VersionPairs: versionPairs(d.Versions), Texts: texts(d),
	}
	view.Marked = len(counterexampleOps(d.Results)) > 0
	view.Unverified = slices.ContainsFunc(view.Faults, func(f faultRow) bool { return !f.Verified || !f.HealVerified })
	var out bytes.Buffer
	if err := page.Execute(&out, view); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return out.Bytes(), nil
}

// exampleOf is the worst counterexample in a sentence, unless the headline has it.
func exampleOf(d Data) string {
	for _, r := range troubles(d.Results) {
		if len(r.Counterexamples) == 0 {
			continue
		}
		if why := r.Counterexamples[0].Why; !strings.Contains(headline(d), why) {
			return prose(why)
		}
		return ""
	}
	return ""
}

func troubleViews(d Data) []trouble {
	var all []trouble
	number := 0
	for _, r := range troubles(d.Results) {
		t := trouble{Result: r, Title: sentenceOf(r), Reasons: otherReasons(r, len(r.Counterexamples))}
		if t.Title == headline(d) {
			t.Title = ""
		}
		for _, c := range r.Counterexamples {
			number++
			t.Stories = append(t.Stories, storyOf(number, c, d.run()))
		}
		all = append(all, t)
	}
	return all
}

// facts say what was tested; what is unknown is left out.
func facts(d Data) []pair {
	run := d.run()
	all := []pair{
		{"Scenario", d.Scenario},
		{"System", d.System},
		{"Runtime", d.Runtime},
		{"Topology", shape(run)},
		{"Workload", workload(run.Settings)},
		{"Faults", faultNames(run.Faults)},
		{"Seed", seed(d)},
		{"Started", started(d)},
		{"Length", span(d.Length)},
	}
	var known []pair
	for _, p := range all {
		if p.Value != "" {
			known = append(known, p)
		}
	}
	return known
}

func seed(d Data) string {
	if d.Seed == 0 {
		return ""
	}
	return strconv.FormatUint(d.Seed, 10)
}

func started(d Data) string {
	if d.Started.IsZero() {
		return ""
	}
	return d.Started.UTC().Format("2006-01-02 15:04:05 UTC")
}

func workload(s checker.Settings) string {
	if s.Mode == "" {
		return s.Workload
	}
	return strings.TrimSpace(s.Workload + ", reads in mode " + string(s.Mode))
}

// faultNames counts faults by name: partition ×3, kill.
func faultNames(faults []history.Fault) string {
	if len(faults) == 0 {
		return "none"
	}
	var names index
	counts := map[string]int{}
	for _, f := range faults {
		names.of(f.Name)
		counts[f.Name]++
	}
	parts := make([]string, len(names.list))
	for i, name := range names.list {
		parts[i] = name
		if n := counts[name]; n > 1 {
			parts[i] += fmt.Sprintf(" ×%d", n)
		}
	}
	return strings.Join(parts, ", ")
}

// longestText bounds each file that the page quotes; the run directory has all of it.
const longestText = 60_000

func texts(d Data) []pair {
	var all []pair
	for _, t := range []pair{{"Scenario", d.ScenarioText}, {"Schedule as asked", d.ScheduleText},
		{"Schedule as it was played, live roles replaced by names", d.ResolvedText}, {"Topology", d.TopologyText}} {
		if t.Value == "" {
			continue
		}
		if len(t.Value) > longestText {
			t.Value = strings.ToValidUTF8(t.Value[:longestText], "") + "\n… the rest is in the run directory"
		}
		all = append(all, t)
	}
	return all
}
