package report

import (
	"cmp"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"faultline/checker"
	"faultline/workloads/history"
)

// story is a counterexample as it is shown: in words, drawn, and with the faults in force.
type story struct {
	checker.Counterexample
	Number     int
	LeftOut    int // operations beyond mostTold
	Sentences  []operationLine
	Drawing    template.HTML
	Meanwhile  []string // faults in force
	From, Till string   // seconds: the stretch of the run that holds it
}

// maxStoryOps bounds the operations that are listed and drawn. A counterexample that could
// not be made small in time may have hundreds.
const maxStoryOps = 24

// operationLine is an operation and what real time says of its order.
type operationLine struct {
	Text, Order string
	Type        history.Type
}

func storyOf(number int, c checker.Counterexample, run *checker.Run) story {
	left := max(0, len(c.Ops)-maxStoryOps)
	c.Ops, c.Why = c.Ops[:len(c.Ops)-left], prose(c.Why)
	s := story{Counterexample: c, Number: number, LeftOut: left, Drawing: drawStory(number, c, run.Faults)}
	for i, op := range c.Ops {
		s.Sentences = append(s.Sentences, operationLine{sentence(op), before(c.Ops, i), op.Type})
	}
	from, till := reach(c.Ops)
	margin := 30e6 + float64(till-from)/5 // ns
	s.From = strconv.FormatFloat(max(0, float64(from)-margin)/1e9, 'f', 3, 64)
	s.Till = strconv.FormatFloat((float64(till)+margin)/1e9, 'f', 3, 64)
	for _, f := range during(run.Faults, from, till) {
		text := faultLabel(f) + ", from " + seconds(f.Start)
		if !f.Momentary {
			text += " until " + seconds(over(f, math.MaxInt64))
		}
		s.Meanwhile = append(s.Meanwhile, text)
	}
	return s
}

// reach is the time that operations span, leaving out ends which nobody saw.
func reach(ops []history.Operation) (from, till int64) {
	for i, op := range ops {
		if i == 0 {
			from, till = op.Invoke, op.Invoke
		}
		from, till = min(from, op.Invoke), max(till, op.Invoke)
		if op.Return != history.Pending {
			till = max(till, op.Return)
		}
	}
	return from, till
}

// Measures of the drawing, in pixels.
const (
	storyLeft  = 150.0 // names of the lanes
	storyRight = 96.0  // room for operations that never ended
	storyNote  = 15.0  // a line that names a fault
	storyLane  = 52.0
	storyBar   = 26.0
	storyGap   = 84.0 // least distance of two moments, so that their times can be read
)

// storyScale gives every moment of the operations a place. Moments keep their order, and
// longer times get more room, but by their logarithm: milliseconds and seconds can then
// stand in one drawing. Every moment carries its exact time instead.
func storyScale(ops []history.Operation) (moments []int64, at map[int64]float64) {
	for _, op := range ops {
		moments = append(moments, op.Invoke)
		if op.Return != history.Pending {
			moments = append(moments, op.Return)
		}
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	at = make(map[int64]float64, len(moments))
	x := storyLeft + storyGap/2
	for i, m := range moments {
		if i > 0 {
			x += storyGap + 14*math.Log10(1+float64(m-moments[i-1])/1e5)
		}
		for n, op := range ops {
			if op.Return == m { // the bar must hold its label
				x = max(x, at[op.Invoke]+labelWidth(storyLabel(n, op)))
			}
		}
		at[m] = x
	}
	return moments, at
}

func storyLabel(i int, op history.Operation) string { return thousands(i+1) + "  " + short(op) }

// labelWidth is a generous guess: a drawing cannot measure its reader's font.
func labelWidth(text string) float64 { return 16 + 7.4*float64(utf8.RuneCountInString(text)) }

// storyLanes are the processes in the order of their first operation.
func storyLanes(ops []history.Operation) (lanes []history.Process, nodes map[history.Process]string) {
	nodes = map[history.Process]string{}
	for _, op := range ops {
		if !slices.Contains(lanes, op.Process) {
			lanes = append(lanes, op.Process)
		}
		nodes[op.Process] = op.Node
	}
	return lanes, nodes
}

// drawStory draws a lane for each process, a bar for each operation, and an arrow where
// one operation was over before the next began.
func drawStory(number int, c checker.Counterexample, faults []history.Fault) template.HTML {
	if len(c.Ops) == 0 {
		return ""
	}
	moments, at := storyScale(c.Ops)
	lanes, nodes := storyLanes(c.Ops)
	width := at[moments[len(moments)-1]] + storyRight
	faults = during(faults, moments[0], moments[len(moments)-1])
	top := 8 + storyNote*float64(len(faults))
	floor := top + storyLane*float64(len(lanes))
	d := drawing{ops: c.Ops, at: at, lanes: lanes, width: width, top: top, bottom: floor}
	var titles []string
	for _, op := range c.Ops {
		titles = append(titles, sentence(op))
	}
	d.open("svg", "class", "story", "viewBox", "0 0 "+px(width)+" "+px(floor+42), "width", px(width), "height", px(floor+42),
		"role", "img", "aria-label", "Operations on key "+c.Key+" in real time. "+strings.Join(titles, "; "))
	d.marker(number)
	d.faults(faults, moments)
	for i, p := range lanes {
		y := top + storyLane*float64(i)
		d.line("rule", 0, y+storyLane, width, y+storyLane)
		d.text("text", "process "+strconv.FormatInt(int64(p), 10), "class", "lane", "x", "4", "y", px(y+storyLane/2-2))
		d.text("text", nodes[p], "class", "dim", "x", "4", "y", px(y+storyLane/2+13))
	}
	d.moments(moments)
	d.order(number)
	d.bars()
	d.close("svg")
	return d.html()
}

// drawing is a story being drawn.
type drawing struct {
	svg
	ops         []history.Operation
	at          map[int64]float64
	lanes       []history.Process
	width       float64
	top, bottom float64 // of the lanes
}

func (d *drawing) middle(op history.Operation) float64 {
	return d.top + storyLane*(float64(slices.Index(d.lanes, op.Process))+0.5)
}

func (d *drawing) marker(number int) {
	d.open("defs")
	d.open("marker", "id", arrowID(number), "viewBox", "0 0 8 8", "refX", "7", "refY", "4", "markerWidth", "7", "markerHeight", "7", "orient", "auto")
	d.leaf("path", "class", "arrowhead", "d", "M0 0L8 4L0 8z")
	d.close("marker")
	d.close("defs")
}

func arrowID(number int) string { return "arrow-" + thousands(number) }

// place finds a time between the moments, which alone have exact places.
func (d *drawing) place(moments []int64, t int64) float64 {
	i, exact := slices.BinarySearch(moments, t)
	switch {
	case exact:
		return d.at[t]
	case i == 0:
		return storyLeft
	case i == len(moments):
		return d.width
	}
	low, high := moments[i-1], moments[i]
	share := float64(t-low) / float64(high-low)
	return d.at[low] + share*(d.at[high]-d.at[low])
}

func (d *drawing) faults(faults []history.Fault, moments []int64) {
	for i, f := range faults {
		from, till := d.place(moments, f.Start), d.place(moments, f.Healed)
		d.rect("band", from, 0, till-from, d.bottom, faultLabel(f))
		d.text("text", "fault "+faultLabel(f), "class", "dim", "x", px(from+5), "y", px(12+storyNote*float64(i)))
	}
}

func (d *drawing) moments(moments []int64) {
	for _, m := range moments {
		d.line("moment", d.at[m], d.top, d.at[m], d.bottom+6)
		d.text("text", stamp(m), "class", "time", "x", px(d.at[m]), "y", px(d.bottom+20), "text-anchor", "middle")
	}
	for i := 1; i < len(moments); i++ {
		x := (d.at[moments[i-1]] + d.at[moments[i]]) / 2
		d.text("text", "+"+span(time.Duration(moments[i]-moments[i-1])), "class", "dim", "x", px(x), "y", px(d.bottom+36), "text-anchor", "middle")
	}
}

// order draws an arrow from the end of an operation to the start of each that began
// after it, except where a third operation stands wholly between them.
func (d *drawing) order(number int) {
	for _, a := range d.ops {
		for _, b := range d.ops {
			if a.Return >= b.Invoke || d.between(a, b) {
				continue
			}
			d.leaf("line", "class", "order", "marker-end", "url(#"+arrowID(number)+")",
				"x1", px(d.at[a.Return]+2), "y1", px(d.middle(a)), "x2", px(d.at[b.Invoke]-2), "y2", px(d.middle(b)))
		}
	}
}

func (d *drawing) between(a, b history.Operation) bool {
	return slices.ContainsFunc(d.ops, func(c history.Operation) bool {
		return a.Return < c.Invoke && c.Return < b.Invoke
	})
}

func (d *drawing) bars() {
	for i, op := range d.ops {
		from, y := d.at[op.Invoke], d.middle(op)-storyBar/2
		class := "bar " + string(cmp.Or(op.Type, history.Info))
		till, ok := d.at[op.Return]
		if !ok { // nobody saw its end: the bar stays open to the right
			till = d.width
			class += " endless"
		}
		d.open("g", "class", class)
		d.rect("", from, y, till-from, storyBar, sentence(op))
		d.text("text", storyLabel(i, op), "x", px(from+7), "y", px(y+storyBar/2+4))
		d.close("g")
	}
}
