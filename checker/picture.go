package checker

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"faultline/workloads/history"
)

const (
	pictureOps  = 200             // more are neither readable nor, in Porcupine's verbose mode, cheap
	pictureTime = 3 * time.Second // for Porcupine to find how far it gets
)

// picture is Porcupine's page of a key: all of it, or the values around the smallest
// failing constraints. It shows projections (see project), so what it calls impossible is.
func picture(ctx context.Context, key string, constraints, small []constraint, faults []history.Fault) ([]byte, error) {
	limit := pictureTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	if limit <= 0 {
		return nil, nil
	}
	shown := nearbyOps(constraints, small, pictureOps)
	kept, dropped := prepare(shown)
	if hidden(shown, dropped) {
		kept = append(kept, dropped...)
	}
	shown = kept
	failing := map[int64]bool{}
	for i := range small {
		failing[small[i].op.ID] = true
	}
	ops := toPorcupine(shown)
	for i := range ops {
		s := ops[i].Input.(*step)
		s.label = label(s.op)
		if failing[s.op.ID] {
			ops[i].Metadata = "part of the smallest failing sub-history"
		}
	}
	model := registerModel()
	model.DescribeOperation = func(input, _ any) string { return input.(*step).label }
	model.DescribeState = describeState(ops)
	_, info := porcupine.CheckOperationsVerbose(model, ops, limit)
	info.AddAnnotations(annotations(key, shown, faults))
	var page bytes.Buffer
	if err := porcupine.Visualize(model, info, &page); err != nil {
		return nil, fmt.Errorf("the picture of key %s: %w", key, err)
	}
	return page.Bytes(), nil
}

// nearbyOps is the projection on the values of small and on the nearest others, by time,
// that together have at most limit operations.
func nearbyOps(constraints, small []constraint, limit int) []constraint {
	if len(constraints) <= limit {
		return constraints
	}
	keep := map[value]bool{}
	for _, v := range valuesOf(small) {
		keep[v] = true
	}
	begun := map[value]int64{}
	count := map[value]int{}
	for i := range constraints {
		f := &constraints[i]
		if f.writes {
			begun[f.wrote] = f.call
			count[f.wrote]++
		}
		if f.read == readIs {
			count[f.saw]++
		}
	}
	middle := small[len(small)/2].call
	near := valuesOf(constraints)
	distance := func(v value) int64 { return max(begun[v]-middle, middle-begun[v]) }
	slices.SortStableFunc(near, func(a, b value) int { return cmp.Compare(distance(a), distance(b)) })
	left := limit
	for v := range keep {
		left -= count[v]
	}
	for _, v := range near {
		if left -= count[v]; left < 0 {
			break
		}
		keep[v] = true
	}
	return project(constraints, func(v value) bool { return keep[v] })
}

// label is short: it has to fit into a bar.
func label(op *history.Operation) string {
	text := string(op.F) + " " + string(op.Input)
	switch {
	case op.F == history.OpRead:
		text = "read → " + string(op.Output)
	case op.F == history.OpCAS && op.Type == history.Fail && len(op.Current) > 0:
		text += " ✗ " + string(op.Current)
	case op.Type == history.Fail:
		text += " ✗"
	case op.Type == history.Info:
		text += " ?"
	}
	text += fmt.Sprintf(" · p%d", op.Process)
	if op.Node != "" {
		text += " " + op.Node
	}
	if op.F == history.OpRead && op.Mode != "" {
		text += " " + string(op.Mode)
	}
	return text
}

// describeState names the numbered values again.
func describeState(ops []porcupine.Operation) func(any) string {
	names := map[int]string{0: absent.String()}
	for _, op := range ops {
		s := op.Input.(*step)
		names[s.sawID] = s.saw.String()
		if s.writes {
			names[s.wroteID] = s.wrote.String()
		}
	}
	names[0] = absent.String()
	return func(state any) string { return names[state.(int)] }
}

// annotations draw the faults that overlap the picture.
func annotations(key string, shown []constraint, faults []history.Fault) []porcupine.Annotation {
	from, to := int64(history.Pending), int64(0)
	for i := range shown {
		from, to = min(from, shown[i].call), max(to, shown[i].call)
		if shown[i].ret != history.Pending {
			to = max(to, shown[i].ret)
		}
	}
	var out []porcupine.Annotation
	for _, f := range faults {
		if f.Start > to || f.Heal < from {
			continue
		}
		out = append(out, porcupine.Annotation{Tag: "faults", Start: max(f.Start, from), End: min(f.Heal, to),
			Description: f.Name, Details: fmt.Sprintf("key %s, step %d on %v: %s", key, f.Step, f.Targets, f.Asked)})
	}
	return out
}
