package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"faultline/workloads/history"
)

// Measures of the figure of a run, in pixels.
const (
	figureLeft       = 112.0
	figureWidth      = 960.0 // of the plot
	figureRight      = 14.0
	rowHeight        = 17.0
	datacenterHeight = 20.0 // of the line above the lanes of a datacenter, where there are several
	stateHeight      = 5.0  // strip on top of a node's lane that reports whether it leads
	cellsPerLane     = 480  // cells over the width of a lane
	rateHeight       = 76.0
	delayHeight      = 58.0
	panelGap         = 12.0
)

// runFigure is the run on one time axis, from top to bottom: phases, faults, a lane for
// each node, the rate, the latency by kind. The page's script zooms into it by scaling
// the groups with class zoom along x; texts that name a time carry it in microseconds.
type runFigure struct {
	svg
	data    Data
	scale   scale
	buckets []bucket
	width   time.Duration // of a bucket
	states  []stateSpan
	y       float64 // where the next panel goes
	plot    svg     // what scales with time
	over    svg     // what stands above it and does not
	labels  svg     // at the left
	lanes   map[string]lane
}

// lane is where a node's lane lies; the page's script draws single operations there.
type lane struct {
	Top    float64 `json:"top"`
	Height float64 `json:"height"`
}

// drawRun draws the figure.
func drawRun(d Data, stays []stateSpan, buckets []bucket, width time.Duration) (template.HTML, map[string]lane) {
	f := &runFigure{data: d, scale: scale{extent(d), figureWidth}, buckets: buckets, width: width, states: stays, lanes: map[string]lane{}}
	f.phases()
	f.faults()
	bandsFrom := f.y
	f.nodes()
	f.rate()
	f.delays()
	f.axis()
	full := figureLeft + figureWidth + figureRight
	f.open("svg", "id", "run", "viewBox", "0 0 "+px(full)+" "+px(f.y), "role", "img", "aria-labelledby", "run-about")
	f.text("desc", f.describe(), "id", "run-about")
	f.b.WriteString(f.labels.b.String())
	f.open("svg", "class", "plot", "x", px(figureLeft), "y", "0", "width", px(figureWidth), "height", px(f.y))
	f.leaf("rect", "class", "ground", "width", px(figureWidth), "height", px(f.y))
	f.open("g", "class", "zoom")
	f.bands(bandsFrom)
	f.b.WriteString(f.plot.b.String())
	f.marks(bandsFrom)
	f.close("g")
	f.leaf("g", "class", "single")
	f.b.WriteString(f.over.b.String())
	f.leaf("line", "class", "cross", "y1", "0", "y2", px(f.y), "x1", "-9", "x2", "-9")
	f.leaf("rect", "class", "drag", "x", "-9", "width", "0", "height", px(f.y))
	f.close("svg")
	f.close("svg")
	return f.html(), f.lanes
}

// describe is the figure for those who cannot see it; the tables below it say the rest.
func (f *runFigure) describe() string {
	run := f.data.run()
	return fmt.Sprintf("The run over %s: %s against %s, %s, %s of leadership. The tables on this page hold the same in words.",
		seconds(f.scale.end), tallyOf(run.Ops), count(len(f.nodeNames()), "node"), count(len(run.Faults), "fault"),
		count(changes(run.Topology, leaderships(f.states)), "change"))
}

func (f *runFigure) label(text, class string, y float64) {
	f.labels.text("text", text, "class", class, "x", px(figureLeft-8), "y", px(y), "text-anchor", "end")
}

// beside writes a text at the begin of a stretch of time. When the reader zooms, it goes
// along, and stays in sight as long as any of the stretch is.
func (f *runFigure) beside(from, till int64, dx, y float64, class, text string) {
	f.over.text("text", text, "class", class, "x", px(f.scale.x(from)+dx), "y", px(y),
		"data-t", fmt.Sprint(from/1000), "data-till", fmt.Sprint(till/1000), "data-dx", px(dx))
}

func (f *runFigure) phases() {
	f.y = 2
	f.label("phase", "dim", f.y+12)
	for _, p := range phasesOf(f.data.run().Events, f.scale.end) {
		from, till := f.scale.x(p.From), f.scale.x(p.Till)
		f.plot.rect("phase "+token(string(p.Name)), from, f.y, till-from, rowHeight-2, string(p.Name))
		if till-from > 36 {
			f.beside(p.From, p.Till, 5, f.y+12, "small", string(p.Name))
		}
	}
	f.y += rowHeight + 3
}

// token makes a class name of a word that may be anything.
func token(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return "other"
	}
	return word
}

// faults draws each fault as a bar, on the first row that is free.
func (f *runFigure) faults() {
	run := f.data.run()
	if len(run.Faults) == 0 {
		return
	}
	f.label("faults", "dim", f.y+12)
	var taken []float64 // by row, where its last bar or label ends
	for _, fault := range run.Faults {
		from, till := f.scale.x(fault.Start), f.scale.x(over(fault, f.scale.end))
		text := faultLabel(fault)
		needs := max(till, from+6.1*float64(len([]rune(text)))+8)
		row := slices.IndexFunc(taken, func(end float64) bool { return end <= from })
		if row < 0 {
			row, taken = len(taken), append(taken, 0)
		}
		taken[row] = needs + 4
		y := f.y + rowHeight*float64(row)
		class := "fault"
		if !fault.Verified || !fault.HealVerified {
			class += " unverified"
		}
		f.plot.rect(class, from, y, max(till-from, 2), rowHeight-3, faultTitle(fault))
		f.beside(fault.Start, over(fault, f.scale.end), 5, y+11, "small", text)
	}
	f.y += rowHeight*float64(len(taken)) + 6
}

func faultTitle(f history.Fault) string {
	title := fmt.Sprintf("fault %s\n%s – %s", faultLabel(f), seconds(f.Start), seconds(f.Heal))
	for _, extra := range []pair{{"asked", f.Asked}, {"measured", f.Measured}, {"after the heal", f.HealMeasured}, {"error", f.Error}} {
		if extra.Value != "" {
			title += "\n" + extra.Name + ": " + extra.Value
		}
	}
	return title
}

// bands shade the time of each fault over all panels, and darker over its targets.
func (f *runFigure) bands(top float64) {
	for _, fault := range f.data.run().Faults {
		from, till := f.scale.x(fault.Start), f.scale.x(over(fault, f.scale.end))
		f.rect("band", from, top, max(till-from, 1), f.y-top-20, "")
		for _, target := range fault.Targets {
			if l, ok := f.lanes[target]; ok {
				f.rect("band", from, l.Top, max(till-from, 1), l.Height, "")
			}
		}
	}
}

// marks draws a line where a leader begins, and one at each counterexample.
func (f *runFigure) marks(top float64) {
	for _, s := range leaderships(f.states) {
		x := f.scale.x(s.From)
		f.line("leadership", x, top, x, f.y-20)
	}
	for _, r := range f.data.Results {
		for _, c := range r.Counterexamples {
			for _, op := range c.Ops {
				if l, ok := f.lanes[op.Node]; ok {
					x := f.scale.x(op.Invoke)
					f.line("proof", x, l.Top, x, l.Top+l.Height)
				}
			}
		}
	}
}

// nodeNames are the nodes of the topology, and then those that only the history knows.
func (f *runFigure) nodeNames() []string {
	var names []string
	for _, n := range f.data.run().Topology.Nodes() {
		names = append(names, n.Name)
	}
	for _, op := range f.data.run().Ops {
		if !slices.Contains(names, op.Node) {
			names = append(names, op.Node)
		}
	}
	return names
}

func (f *runFigure) nodes() {
	names, dcs := f.nodeNames(), f.data.run().Topology.DatacenterOf()
	height := 44.0
	if len(names) > 12 {
		height = 26
	}
	cells := map[string][]tally{}
	for i, name := range names {
		if dc := dcs[name]; len(f.data.run().Topology.Datacenters) > 1 && (i == 0 || dcs[names[i-1]] != dc) {
			f.label(cmp.Or(dc, "elsewhere"), "datacenter", f.y+datacenterHeight-5)
			f.labels.line("rule", 0, f.y+datacenterHeight, figureLeft, f.y+datacenterHeight)
			f.over.line("rule", 0, f.y+datacenterHeight, figureWidth, f.y+datacenterHeight)
			f.y += datacenterHeight
		}
		f.lanes[name] = lane{f.y + stateHeight + 1, height - stateHeight - 3}
		cells[name] = make([]tally, cellsPerLane)
		f.label(shorten(cmp.Or(name, "(no node)"), 16), "lane", f.y+height/2+5)
		f.labels.line("rule", 0, f.y+height, figureLeft, f.y+height)
		f.over.line("rule", 0, f.y+height, figureWidth, f.y+height)
		f.y += height
	}
	for _, op := range f.data.run().Ops {
		at := min(int(f.scale.x(op.Invoke)/figureWidth*cellsPerLane), cellsPerLane-1)
		cells[op.Node][at].add(op.Type)
	}
	full := float64(fullHeight(cells))
	for _, name := range names {
		f.histogram(f.lanes[name], cells[name], full)
	}
	for _, s := range f.states {
		l, ok := f.lanes[s.Node]
		if !ok {
			continue
		}
		from, till := f.scale.x(s.From), f.scale.x(s.Till)
		title := fmt.Sprintf("%s %s from %s until %s", s.Node, stateWords[s.State], seconds(s.From), seconds(s.Till))
		if s.State != silent {
			title += fmt.Sprintf(", term %d", s.Term)
		}
		f.plot.rect("state "+strings.ToLower(string(s.State)), from, l.Top-stateHeight-1, till-from, stateHeight, title)
		if s.State == history.Leader {
			f.beside(s.From, s.Till, 3, l.Top+9, "term", leads(s.Term))
		}
	}
	f.y += panelGap
}

var stateWords = map[history.State]string{history.Leader: "leads", history.Candidate: "stands as a candidate", silent: "does not answer the observer"}

// fullHeight is the count that fills a lane: what all but the fullest hundredth of the used
// cells hold, so that one burst does not make all else invisible.
func fullHeight(cells map[string][]tally) int {
	var counts []int64
	for _, lane := range cells {
		for _, c := range lane {
			if c.All() > 0 {
				counts = append(counts, int64(c.All()))
			}
		}
	}
	slices.Sort(counts)
	return int(max(1, quantile(counts, 0.99)))
}

// histogram stacks, cell by cell, the operations sent to one node: ok below, then fail,
// then info. Each kind is one path, which keeps the page small.
func (f *runFigure) histogram(l lane, cells []tally, full float64) {
	paths := map[string]*strings.Builder{"ok": {}, "fail": {}, "info": {}}
	const cell = figureWidth / cellsPerLane
	for i, c := range cells {
		bottom := l.Top + l.Height
		scaled := l.Height / max(full, float64(c.All()))
		for _, part := range []struct {
			name string
			n    int
		}{{"ok", c.OK}, {"fail", c.Fail}, {"info", c.Info}} {
			if part.n == 0 {
				continue
			}
			h := max(1.2, float64(part.n)*scaled)
			fmt.Fprintf(paths[part.name], "M%s %sh%sv-%sh-%sz", px(float64(i)*cell), px(bottom), px(cell), px(h), px(cell))
			bottom -= h
		}
	}
	f.plot.open("g", "class", "crowd")
	for _, name := range []string{"ok", "fail", "info"} {
		if paths[name].Len() > 0 {
			f.plot.leaf("path", "class", name, "d", paths[name].String())
		}
	}
	f.plot.close("g")
}

// leads says that a node leads, and in which term if it told one.
func leads(term uint64) string {
	if term == 0 {
		return "leads"
	}
	return fmt.Sprintf("leads, term %d", term)
}
