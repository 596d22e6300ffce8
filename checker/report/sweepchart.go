package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// sweepChart draws latency over one axis, for one combination of the others.
type sweepChart struct {
	Caption string
	Drawing template.HTML
}

const (
	chartWidth, chartHeight     = 340.0, 190.0
	chartLeft, chartRight       = 46.0, 10.0
	chartTop, chartBottom       = 8.0, 36.0
	mostCharts                  = 24
	lossKey                     = "wan.loss"
	classSystem, classEcho, tcp = "system", "echo", "theory"
)

// charts are there where TCP alone has something to say. The axis of the charts is that of the loss, or the last.
func (s Sweep) charts() (all []sweepChart) {
	if !slices.ContainsFunc(s.Cells, func(c Cell) bool { return c.shown() != nil && (c.Echo != nil || c.TCP != nil) }) {
		return nil
	}
	at := slices.IndexFunc(s.Axes, func(a Axis) bool { return a.Key == lossKey })
	if at < 0 {
		at = len(s.Axes) - 1
	}
	if len(s.Axes[at].Values) < 2 {
		return nil
	}
	low, high := s.latencies()
	groups := map[string][]Cell{}
	var order []string
	for _, c := range s.Cells {
		var others []string
		for i, a := range s.Axes {
			if i != at {
				others = append(others, a.Key+" = "+c.Values[i])
			}
		}
		name := strings.Join(others, ", ")
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], c)
	}
	for _, name := range order[:min(len(order), mostCharts)] {
		all = append(all, sweepChart{Caption: name, Drawing: drawSweep(s.Axes[at], groups[name], decades(low, high))})
	}
	return all
}

// latencies are the least and the most that is drawn, in nanoseconds.
func (s Sweep) latencies() (low, high int64) {
	low, high = math.MaxInt64, 1
	for _, c := range s.Cells {
		for _, v := range []*Served{c.shown(), c.Echo, c.TCP} {
			if v == nil || v.P99Seconds <= 0 {
				continue
			}
			low = min(low, int64(max(v.P50Seconds, 1e-6)*float64(time.Second)))
			high = max(high, int64(min(v.P99Seconds, 1e6)*float64(time.Second)))
		}
	}
	return min(low, high), high
}

func drawSweep(axis Axis, cells []Cell, scale []int64) template.HTML {
	var d svg
	right, bottom := chartWidth-chartRight, chartHeight-chartBottom
	y := func(seconds float64) float64 {
		from, till := math.Log10(float64(scale[0])), math.Log10(float64(scale[len(scale)-1]))
		v := math.Log10(max(seconds*float64(time.Second), float64(scale[0])))
		return bottom - (v-from)/max(till-from, 1)*(bottom-chartTop)
	}
	x := func(i int) float64 {
		return chartLeft + 12 + float64(i)/float64(max(1, len(axis.Values)-1))*(right-chartLeft-24)
	}
	d.open("svg", "class", "sweep-chart", "viewBox", fmt.Sprintf("0 0 %s %s", px(chartWidth), px(chartHeight)), "role", "img",
		"aria-label", "latency over "+axis.Key)
	for _, tick := range scale {
		at := y(time.Duration(tick).Seconds())
		d.line("grid", chartLeft, at, right, at)
		d.text("text", shortTime(tick), "class", "dim", "x", px(chartLeft-6), "y", px(at+4), "text-anchor", "end")
	}
	for i, v := range axis.Values {
		d.text("text", v, "class", "dim", "x", px(x(i)), "y", px(bottom+15), "text-anchor", "middle")
	}
	d.text("text", axis.Key, "class", "dim", "x", px((chartLeft+right)/2), "y", px(bottom+31), "text-anchor", "middle")
	for _, line := range []struct {
		class string
		of    func(Cell) *Served
	}{{tcp, func(c Cell) *Served { return c.TCP }}, {classEcho, func(c Cell) *Served { return c.Echo }}, {classSystem, Cell.shown}} {
		for _, q := range []struct {
			name string
			of   func(*Served) float64
		}{{"p50", func(v *Served) float64 { return v.P50Seconds }}, {"p99", func(v *Served) float64 { return v.P99Seconds }}} {
			var path strings.Builder
			for i, c := range cells {
				v := line.of(c)
				if c.Verdict == "" || v == nil || v.P99Seconds <= 0 {
					continue
				}
				move := "L"
				if path.Len() == 0 {
					move = "M"
				}
				fmt.Fprintf(&path, "%s%s %s", move, px(x(i)), px(y(q.of(v))))
				if line.class != tcp {
					d.open("circle", "class", line.class+" "+q.name, "cx", px(x(i)), "cy", px(y(q.of(v))), "r", "3")
					d.text("title", fmt.Sprintf("%s, %s: %s", line.class, q.name, ofSeconds(q.of(v))))
					d.close("circle")
				}
			}
			if path.Len() > 0 {
				d.leaf("path", "class", line.class+" "+q.name, "d", path.String())
			}
		}
	}
	d.close("svg")
	return d.html()
}
