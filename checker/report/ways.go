package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"faultline/checker"
	"faultline/workloads/history"
)

// waysView is how datacenters served each other; nil of a run of one.
type waysView struct {
	Meant  []string        // columns of the matrix
	Matrix []wayRow        // by the datacenter that was asked
	Stages []wayStages     // of each way
	Names  []checker.Stage // columns of that
	Faults []wayFault      // by fault
	Ways   []string        // columns of that
	Errors []wayError
}

type wayRow struct {
	Asking string
	Cells  []wayCell
}

// wayCell is a number of operations of one way, and how they fared.
type wayCell struct {
	None     bool   // nobody asked
	Grade    string // class: good, fair, poor or bad
	Rate     string
	P50, P99 string
	Asked    int
	Recovery string // of a fault: from its heal until a change succeeded
}

type wayStages struct {
	Way   string
	Times []string // p50 / p99, by stage; – where none was there
}

type wayFault struct {
	Step          int
	Name, Targets string
	Cells         []wayCell
}

type wayError struct {
	Way    string
	Code   history.Code
	Stage  checker.Stage
	Effect string
	Ops    int
}

func waysOf(run *checker.Run) *waysView {
	ways := checker.Ways(run)
	if len(ways) == 0 {
		return nil
	}
	v := &waysView{}
	at := map[[2]string]checker.Way{}
	for _, w := range ways {
		at[[2]string{w.Asking, w.Meant}] = w
		v.Ways = append(v.Ways, w.Asking+" → "+w.Meant)
		for _, s := range w.Stages {
			if !slices.Contains(v.Names, s.Stage) {
				v.Names = append(v.Names, s.Stage)
			}
		}
		for _, f := range w.Failures {
			effect := "may have taken effect"
			if f.Type == history.Fail {
				effect = "none, for certain"
			}
			if f.Stage == checker.StageNone {
				f.Stage = "nobody told"
			}
			v.Errors = append(v.Errors, wayError{w.Asking + " → " + w.Meant, f.Code, f.Stage, effect, f.Ops})
		}
	}
	for _, from := range run.Topology.Datacenters {
		row := wayRow{Asking: from.Name}
		for _, to := range run.Topology.Datacenters {
			row.Cells = append(row.Cells, matrixCell(at[[2]string{from.Name, to.Name}]))
		}
		v.Meant, v.Matrix = append(v.Meant, from.Name), append(v.Matrix, row)
	}
	slices.SortFunc(v.Names, checker.CompareStages)
	for i, w := range ways {
		row := wayStages{Way: v.Ways[i]}
		for _, name := range v.Names {
			row.Times = append(row.Times, stageText(w.Stages, name))
		}
		v.Stages = append(v.Stages, row)
	}
	for i, f := range run.Faults {
		if f.Momentary {
			continue
		}
		row := wayFault{Step: f.Step, Name: f.Name, Targets: targets(f)}
		for _, w := range ways {
			row.Cells = append(row.Cells, faultCell(w, i, f))
		}
		v.Faults = append(v.Faults, row)
	}
	slices.SortStableFunc(v.Errors, func(a, b wayError) int { return b.Ops - a.Ops })
	return v
}

func matrixCell(w checker.Way) wayCell {
	c := countsCell(w.WayCounts)
	c.P50, c.P99 = span(w.P50), span(w.P99)
	if w.Served == 0 {
		c.P50, c.P99 = "–", "–"
	}
	return c
}

func countsCell(n checker.WayCounts) wayCell {
	if n.Asked == 0 {
		return wayCell{None: true}
	}
	return wayCell{Grade: grade(n.Rate()), Rate: rate(n), Asked: n.Asked}
}

// rate does not round up to a hundred.
func rate(n checker.WayCounts) string {
	if n.Served == n.Asked {
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", min(99.99, 100*n.Rate()))
}

func grade(rate float64) string {
	switch {
	case rate >= 0.999:
		return "good"
	case rate >= 0.99:
		return "fair"
	case rate >= 0.9:
		return "poor"
	}
	return "bad"
}

func stageText(all []checker.StageTime, name checker.Stage) string {
	i := slices.IndexFunc(all, func(s checker.StageTime) bool { return s.Stage == name })
	if i < 0 {
		return "–"
	}
	return span(all[i].P50) + " / " + span(all[i].P99)
}

func faultCell(w checker.Way, at int, f history.Fault) wayCell {
	c := countsCell(w.During[at])
	i := slices.IndexFunc(w.Recoveries, func(r checker.Recovery) bool { return r.Step == f.Step })
	switch {
	case i < 0:
		c.Recovery = "never healed"
	case !w.Recoveries[i].Recovered:
		c.Recovery = "not seen to recover"
	default:
		c.Recovery = "back in " + span(max(w.Recoveries[i].After, time.Microsecond))
	}
	return c
}

// targets are the nodes of a fault; of many, how many.
func targets(f history.Fault) string {
	const most = 3
	if n := len(f.Targets); n > most {
		return fmt.Sprintf("%d nodes", n)
	}
	return strings.Join(f.Targets, ", ")
}
