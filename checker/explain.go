package checker

import (
	"fmt"
	"slices"
	"strings"

	"faultline/workloads/history"
)

// explain says in words what the smallest failing constraints contradict. all are the
// operations of the key; of those that definitely failed, it returns the one that the
// explanation speaks of, if any.
func explain(small []constraint, all []*history.Operation) (why string, failed *history.Operation) {
	many := manyOf(all)
	if f := &small[0]; len(small) == 1 && f.read == readIs && many[f.saw] {
		return fmt.Sprintf("%s %s, which nobody else had asked to write by then", describe(f.op), found(f, f.saw.String())), nil
	}
	if hides(small) || slices.ContainsFunc(valuesOf(small), func(v value) bool { return many[v] }) {
		return explainList(small), nil
	}
	restored := restoreRoles(small)
	if many[absent] {
		restored = withoutAbsent(restored)
	}
	bs := blocks(restored)
	for _, b := range bs {
		if chosen := selfConflict(b); chosen != nil {
			return explainAlone(b, chosen, all)
		}
	}
	for i, a := range bs {
		for _, b := range bs[:i] {
			if pairConflict(a, b) != nil {
				return explainPair(a, b), nil
			}
		}
	}
	return explainList(small), nil
}

// manyOf are the values that can have stood in the register more than once.
func manyOf(all []*history.Operation) map[value]bool {
	var constraints []constraint
	for _, op := range all {
		if f, keep, err := toConstraint(op); err == nil && keep {
			constraints = append(constraints, f)
		}
	}
	return repeated(constraints)
}

// restoreRoles gives the constraints back the roles that shrinking took from them, as far as they
// concern the values that are left: not needed for the proof, but for its explanation.
func restoreRoles(small []constraint) []constraint {
	values := valuesOf(small)
	constraints := make([]constraint, 0, len(small))
	for i := range small {
		if f, keep, err := toConstraint(small[i].op); err == nil && keep {
			constraints = append(constraints, f)
		}
	}
	return project(constraints, func(v value) bool { return slices.Contains(values, v) })
}

func explainAlone(b *block, chosen []*constraint, all []*history.Operation) (string, *history.Operation) {
	last := chosen[len(chosen)-1]
	switch {
	case b.value.present && b.writer == nil:
		if w := failedWriter(all, b.value); w != nil {
			return fmt.Sprintf("%s %s, which only %s put forward, and that had failed for certain (%s)",
				describe(last.op), found(last, b.value.String()), describe(w), w.Error), w
		}
		return fmt.Sprintf("%s %s, which nobody ever wrote", describe(last.op), found(last, b.value.String())), nil
	case b.writer != nil && b.first.ret < b.writer.call:
		return fmt.Sprintf("%s %s %s before %s was even asked for", describe(b.first.op),
			found(b.first, b.value.String()), ms(b.writer.call-b.first.ret), describe(b.writer.op)), nil
	}
	for _, f := range b.constraints {
		if f.contradictory {
			return fmt.Sprintf("%s was refused, although %s, which it asked for, is what it found", describe(f.op), b.value), nil
		}
	}
	once := "which was written only once"
	if !b.value.present {
		once = "which it never became again"
	}
	var both []string
	for _, f := range b.constraints {
		if f.writes && f.sees(b.value) {
			both = append(both, describe(f.op))
		}
	}
	return fmt.Sprintf("%s both replaced the value %s, %s", strings.Join(both, " and "), b.value, once), nil
}

// explainPair says why neither of two values can have come before the other.
func explainPair(a, b *block) string {
	older, newer := a, b
	better := preferOlder(b, a) - preferOlder(a, b)
	if better > 0 || better == 0 && b.last.call > a.last.call {
		older, newer = b, a
	}
	late, newest := older.last, newer.first
	first := fmt.Sprintf("%s began %s after %s, and yet it %s", describe(late.op), ms(late.call-newest.ret),
		evidenceOf(newest, newer.value), found(late, "the older value "+older.value.String()))
	switch {
	case !older.value.present:
		return fmt.Sprintf("%s began %s after %s, and yet it %s", describe(late.op), ms(late.call-newest.ret),
			evidenceOf(newest, newer.value), found(late, "the key absent"))
	case newer.writer != nil && newer.writer.sees(older.value):
		return fmt.Sprintf("%s, which %s had replaced and which was written only once", first, describe(newer.writer.op))
	}
	return fmt.Sprintf("%s: %s %s before %s began", first,
		evidenceOf(older.first, older.value), ms(newer.last.call-older.first.ret), describe(newer.last.op))
}

// preferOlder scores the explanation in which the older value was seen again.
func preferOlder(older, newer *block) int {
	score := 0
	if !older.value.present {
		score += 8
	}
	if newer.writer != nil && newer.writer.sees(older.value) {
		score += 4
	}
	if older.last.sees(older.value) {
		score += 2
	}
	if newer.last == newer.writer {
		score++
	}
	return score
}

// explainList is the explanation where no two values suffice.
func explainList(small []constraint) string {
	parts := make([]string, 0, len(small))
	start := int64(0)
	for i, f := range byCall(small) {
		if i == 0 {
			start = f.call
		}
		end := "never answered"
		if f.ret != history.Pending {
			end = "answered after " + ms(f.ret-start)
		}
		parts = append(parts, fmt.Sprintf("%s (begun after %s, %s)%s", describe(f.op), ms(f.call-start), end, outcome(f.op)))
	}
	return fmt.Sprintf("no order of these %d operations, in which each takes effect between its begin and its answer, gives every one of them what it found: %s",
		len(small), strings.Join(parts, "; "))
}

func byCall(constraints []constraint) []constraint {
	sorted := slices.Clone(constraints)
	slices.SortStableFunc(sorted, func(a, b constraint) int {
		if a.call != b.call {
			if a.call < b.call {
				return -1
			}
			return 1
		}
		return 0
	})
	return sorted
}

// describe names an operation.
func describe(op *history.Operation) string {
	by := fmt.Sprintf("by process %d", op.Process)
	if op.Node != "" {
		by += " at " + op.Node
	}
	switch op.F {
	case history.OpRead:
		return strings.TrimSpace("the "+string(op.Mode)) + " read " + by
	case history.OpDelete:
		return "the delete " + by
	case history.OpCAS, history.OpDeleteCAS:
		old, n, err := history.AsChange(op.Input)
		switch {
		case err != nil:
		case n == nil:
			return fmt.Sprintf("the compare-and-delete of %s %s", toValue(old), by)
		default:
			return fmt.Sprintf("the compare-and-set of %s to %d %s", toValue(old), *n, by)
		}
	}
	return fmt.Sprintf("the %s of %s %s", op.F, op.Input, by)
}

// found says that the operation found a value, named by what.
func found(f *constraint, what string) string {
	switch {
	case f.op.F == history.OpRead && f.saw.present:
		return "returned " + what
	case f.op.F == history.OpCAS && f.writes:
		return "succeeded on " + what
	}
	return "found " + what
}

// evidenceOf says by what the value v is known to have been there when the operation was
// answered.
func evidenceOf(f *constraint, v value) string {
	switch {
	case f.writes && f.wrote == v && f.op.F == history.OpCAS:
		return describe(f.op) + " had succeeded"
	case f.writes && f.wrote == v:
		return describe(f.op) + " had been acknowledged"
	case f.op.F == history.OpRead:
		return describe(f.op) + " had " + found(f, v.String())
	case f.writes:
		return describe(f.op) + " had succeeded"
	}
	return describe(f.op) + " had been refused because it found " + v.String()
}

// outcome is how an operation ended, where its name does not say it.
func outcome(op *history.Operation) string {
	switch {
	case op.Type == history.Info:
		return ", which may or may not have happened"
	case op.F == history.OpRead && string(op.Output) == "null":
		return " found the key absent"
	case op.F == history.OpRead:
		return " returned " + string(op.Output)
	case op.Type == history.Fail && len(op.Current) > 0:
		return " was refused and found " + string(op.Current)
	case op.Type == history.Fail:
		return " was refused"
	}
	return ""
}

// failedWriter finds the operation that wanted to write v and definitely did not.
func failedWriter(all []*history.Operation, v value) *history.Operation {
	for _, op := range all {
		if op.Type != history.Fail || op.F == history.OpRead {
			continue
		}
		attempt := *op
		attempt.Type, attempt.Error = history.OK, ""
		if f, keep, err := toConstraint(&attempt); err == nil && keep && f.wrote == v {
			return op
		}
	}
	return nil
}

// ms is a span of time for people.
func ms(ns int64) string {
	v := float64(ns) / 1e6
	switch {
	case v < 1:
		return fmt.Sprintf("%.2f ms", v)
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}
