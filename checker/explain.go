package checker

import (
	"fmt"
	"slices"
	"strings"

	"faultline/workloads/history"
)

// explain tells in words what the smallest failing facts contradict. all are the
// operations of the key; of those that definitely failed, it returns the one that the
// explanation speaks of, if any.
func explain(small []fact, all []*history.Operation) (why string, failed *history.Operation) {
	if hides(small) || !uniqueWrites(small) {
		return explainList(small), nil
	}
	bs := blocks(whole(small))
	for _, b := range bs {
		if chosen := alone(b); chosen != nil {
			return explainAlone(b, chosen, all)
		}
	}
	for i, a := range bs {
		for _, b := range bs[:i] {
			if together(a, b) != nil {
				return explainPair(a, b), nil
			}
		}
	}
	return explainList(small), nil
}

// whole gives the facts back the roles that shrinking took from them, as far as they
// speak of the values that are left: not needed for the proof, but for its story.
func whole(small []fact) []fact {
	values := valuesOf(small)
	facts := make([]fact, 0, len(small))
	for i := range small {
		if f, keep, err := toFact(small[i].op); err == nil && keep {
			facts = append(facts, f)
		}
	}
	return project(facts, func(v value) bool { return slices.Contains(values, v) })
}

func explainAlone(b *block, chosen []*fact, all []*history.Operation) (string, *history.Operation) {
	last := chosen[len(chosen)-1]
	switch {
	case b.value.present && b.writer == nil:
		if w := failedWriter(all, b.value); w != nil {
			return fmt.Sprintf("%s %s, which only %s put forward, and that had failed for certain (%s)",
				who(last.op), found(last, b.value.String()), who(w), w.Error), w
		}
		return fmt.Sprintf("%s %s, which nobody ever wrote", who(last.op), found(last, b.value.String())), nil
	case b.writer != nil && b.first.ret < b.writer.call:
		return fmt.Sprintf("%s %s %s before %s was even asked for", who(b.first.op),
			found(b.first, b.value.String()), ms(b.writer.call-b.first.ret), who(b.writer.op)), nil
	}
	for _, f := range b.facts {
		if f.absurd {
			return fmt.Sprintf("%s was refused, although %s, which it asked for, is what it found", who(f.op), b.value), nil
		}
	}
	once := "which was written only once"
	if !b.value.present {
		once = "which it never became again"
	}
	var both []string
	for _, f := range b.facts {
		if f.writes && f.sees(b.value) {
			both = append(both, who(f.op))
		}
	}
	return fmt.Sprintf("%s both replaced the value %s, %s", strings.Join(both, " and "), b.value, once), nil
}

// explainPair tells why neither of two values can have come before the other.
func explainPair(a, b *block) string {
	older, newer := a, b
	better := preferOlder(b, a) - preferOlder(a, b)
	if better > 0 || better == 0 && b.last.call > a.last.call {
		older, newer = b, a
	}
	late, proof := older.last, newer.first
	first := fmt.Sprintf("%s began %s after %s, and yet it %s", who(late.op), ms(late.call-proof.ret),
		proved(proof, newer.value), found(late, "the older value "+older.value.String()))
	switch {
	case !older.value.present:
		return fmt.Sprintf("%s began %s after %s, and yet it %s", who(late.op), ms(late.call-proof.ret),
			proved(proof, newer.value), found(late, "the key absent"))
	case newer.writer != nil && newer.writer.sees(older.value):
		return fmt.Sprintf("%s, which %s had replaced and which was written only once", first, who(newer.writer.op))
	}
	return fmt.Sprintf("%s: %s %s before %s began", first,
		proved(older.first, older.value), ms(newer.last.call-older.first.ret), who(newer.last.op))
}

// preferOlder is how well the story goes in which the older value was seen again.
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

// explainList is what is left to say where no two values tell the story.
func explainList(small []fact) string {
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
		parts = append(parts, fmt.Sprintf("%s (begun after %s, %s)%s", who(f.op), ms(f.call-start), end, outcome(f.op)))
	}
	return fmt.Sprintf("no order of these %d operations, in which each takes effect between its begin and its answer, gives every one of them what it found: %s",
		len(small), strings.Join(parts, "; "))
}

func byCall(facts []fact) []fact {
	sorted := slices.Clone(facts)
	slices.SortStableFunc(sorted, func(a, b fact) int {
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

// who names an operation.
func who(op *history.Operation) string {
	by := fmt.Sprintf("by process %d", op.Process)
	if op.Node != "" {
		by += " at " + op.Node
	}
	switch op.F {
	case history.OpRead:
		return strings.TrimSpace("the "+string(op.Mode)) + " read " + by
	case history.OpCAS:
		old, n, err := history.AsPair(op.Input)
		if err == nil {
			return fmt.Sprintf("the compare-and-set of %s to %d %s", toValue(old), n, by)
		}
	}
	return fmt.Sprintf("the %s of %s %s", op.F, op.Input, by)
}

// found tells that the operation met a value, named by what.
func found(f *fact, what string) string {
	switch {
	case f.op.F == history.OpRead && f.saw.present:
		return "returned " + what
	case f.op.F == history.OpCAS && f.writes:
		return "succeeded on " + what
	}
	return "found " + what
}

// proved tells by what the value v is known to have stood there when the operation's
// answer came.
func proved(f *fact, v value) string {
	switch {
	case f.writes && f.wrote == v && f.op.F == history.OpCAS:
		return who(f.op) + " had succeeded"
	case f.writes && f.wrote == v:
		return who(f.op) + " had been acknowledged"
	case f.op.F == history.OpRead:
		return who(f.op) + " had " + found(f, v.String())
	case f.writes:
		return who(f.op) + " had succeeded"
	}
	return who(f.op) + " had been refused because it found " + v.String()
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
		if f, keep, err := toFact(&attempt); err == nil && keep && f.wrote == v {
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
