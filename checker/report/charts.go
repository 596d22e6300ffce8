package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// rate draws operations a second by the moment they were sent, stacked by how they
// ended.
func (f *runFigure) rate() {
	most := 1
	for _, b := range f.buckets {
		most = max(most, b.All())
	}
	perSecond := float64(time.Second) / float64(f.width)
	top := roundUp(float64(most) * perSecond)
	bottom := f.y + rateHeight
	f.label("rate", "lane", f.y+12)
	f.label(fmt.Sprintf("ops/s by %s", shortTime(int64(f.width))), "dim", f.y+26)
	for _, share := range []float64{0.5, 1} {
		y := bottom - share*rateHeight
		f.plot.line("grid", 0, y, figureWidth, y)
		f.over.text("text", compact(top*share), "class", "scale", "x", px(figureWidth-3), "y", px(y+10), "text-anchor", "end")
	}
	paths := map[string]*strings.Builder{"ok": {}, "fail": {}, "info": {}}
	for i, b := range f.buckets {
		from := f.bucketAt(i)
		wide := f.bucketAt(i+1) - from
		y := bottom
		for _, part := range []struct {
			name string
			n    int
		}{{"ok", b.OK}, {"fail", b.Fail}, {"info", b.Info}} {
			if part.n == 0 {
				continue
			}
			h := float64(part.n) * perSecond / top * rateHeight
			fmt.Fprintf(paths[part.name], "M%s %sh%sv-%sh-%sz", px(from), px(y), px(wide), px(h), px(wide))
			y -= h
		}
	}
	for _, name := range []string{"ok", "fail", "info"} {
		if paths[name].Len() > 0 {
			f.plot.leaf("path", "class", name, "d", paths[name].String())
		}
	}
	f.over.line("rule", 0, bottom, figureWidth, bottom)
	f.y = bottom + panelGap
}

// bucketAt is where bucket i begins; the last one reaches to the end of the run.
func (f *runFigure) bucketAt(i int) float64 {
	if i >= len(f.buckets) {
		return f.scale.width
	}
	return f.scale.x(int64(i) * int64(f.width))
}

// delays draws, for each kind of operation, the band between the median and the 99th
// percentile of the latency of those that succeeded. All kinds share one scale.
func (f *runFigure) delays() {
	low, high := int64(math.MaxInt64), int64(0)
	kinds := map[string]bool{}
	for _, b := range f.buckets {
		for kind, q := range b.Latency {
			kinds[kind] = true
			low, high = min(low, q.P50), max(high, q.P99)
		}
	}
	if len(kinds) == 0 {
		return
	}
	axis := decades(low, high)
	place := func(ns int64) float64 { // height above the panel's bottom
		from, till := math.Log10(float64(axis[0])), math.Log10(float64(axis[len(axis)-1]))
		return (math.Log10(float64(max(ns, axis[0]))) - from) / max(till-from, 1) * delayHeight
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		bottom := f.y + delayHeight
		f.label(shorten(kind, 16), "lane", f.y+12)
		f.label("p50–p99 of ok", "dim", f.y+26)
		for i, d := range axis {
			y := bottom - place(d)
			f.plot.line("grid", 0, y, figureWidth, y)
			if i > 0 || len(axis) < 3 {
				f.over.text("text", shortTime(d), "class", "scale", "x", px(figureWidth-3), "y", px(y+10), "text-anchor", "end")
			}
		}
		f.delay(kind, func(ns int64) float64 { return bottom - place(ns) })
		f.over.line("rule", 0, bottom, figureWidth, bottom)
		f.y = bottom + panelGap
	}
}

func (f *runFigure) delay(kind string, y func(int64) float64) {
	var band, median strings.Builder
	for i, b := range f.buckets {
		q, ok := b.Latency[kind]
		if !ok {
			continue
		}
		from := f.bucketAt(i)
		wide := px(f.bucketAt(i+1) - from)
		low, high := y(q.P50), y(q.P99)
		fmt.Fprintf(&band, "M%s %sh%sv-%sh-%sz", px(from), px(low), wide, px(max(low-high, 1)), wide)
		fmt.Fprintf(&median, "M%s %sh%s", px(from), px(low), wide)
	}
	f.plot.leaf("path", "class", "delay", "d", band.String())
	f.plot.leaf("path", "class", "median", "d", median.String())
}

// axis draws the times at the foot; the page's script draws them anew on zoom.
func (f *runFigure) axis() {
	f.over.open("g", "class", "axis")
	for _, t := range timeTicks(f.scale.end, 12) {
		x := f.scale.x(t.At)
		anchor := "middle"
		switch {
		case x < 10:
			anchor = "start"
		case x > figureWidth-20:
			anchor = "end"
		}
		f.over.text("text", t.Label, "class", "time", "x", px(x), "y", px(f.y+9), "text-anchor", anchor)
	}
	f.over.close("g")
	f.label("time since start", "dim", f.y+9)
	f.y += 20
}

// roundUp is the next of a few round multiples of a power of ten.
func roundUp(v float64) float64 {
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 3, 4, 5, 6, 8} {
		if m*base >= v {
			return m * base
		}
	}
	return 10 * base
}

// compact writes a number for an axis: 500, 1.5k.
func compact(v float64) string {
	if v >= 1000 {
		return px(v/1000) + "k"
	}
	return px(v)
}
