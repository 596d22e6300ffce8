package checker

import (
	"fmt"
	"strconv"

	"faultline/workloads/history"
)

// value is what a register holds; the zero value is "absent", as every key begins.
type value struct {
	present bool
	n       int64
}

var absent value

func (v value) String() string {
	if !v.present {
		return "absent"
	}
	return strconv.FormatInt(v.n, 10)
}

// read is what an operation learned of the value before it.
type read uint8

const (
	readNothing read = iota
	readIs           // it was constraint.saw
	readIsNot        // it was anything but constraint.saw: a failed compare that does not say what it found
	// readIsOrGone: it was constraint.saw, or absent already. So a compare-and-delete succeeds on a
	// Consul (KVSDeleteCAS in agent/consul/state/kvs.go): what is not there needs no deletion.
	readIsOrGone
)

// constraint is what one operation says about its register: what it saw, and what it put
// there instead. A write sees nothing, a read writes nothing, a compare-and-set that
// succeeded does both at one instant. Taking a role away from a constraint weakens it, which
// is what projections and shrinking are made of (see project).
type constraint struct {
	op            *history.Operation
	read          read
	saw           value
	writes        bool
	wrote         value
	maybe         bool // it may not have happened at all; if it sees, it acts only where it sees saw
	contradictory bool // a compare-and-set that was refused, and found the very value that it asked for
	call          int64
	ret           int64
}

func (f *constraint) empty() bool { return f.read == readNothing && !f.writes }

// sees reports whether the operation, if it happened, found exactly v.
func (f *constraint) sees(v value) bool { return f.read == readIs && f.saw == v }

// finds reports whether the operation can happen while the register holds v.
func (f *constraint) finds(v value) bool {
	switch f.read {
	case readIs:
		return v == f.saw
	case readIsNot:
		return v != f.saw
	case readIsOrGone:
		return v == f.saw || v == absent
	}
	return true
}

func toValue(n *int64) value {
	if n == nil {
		return absent
	}
	return value{present: true, n: *n}
}

// toConstraint reads an operation of the register workload. keep is false for what says
// nothing: an operation that definitely did not happen, and a read without an answer.
func toConstraint(op *history.Operation) (f constraint, keep bool, err error) {
	f = constraint{op: op, call: op.Invoke, ret: op.Return, maybe: op.Type == history.Info}
	mismatch := compares(op.F) && op.Error == history.CASMismatch
	if op.Type == history.Fail && !mismatch {
		return constraint{}, false, nil
	}
	switch op.F {
	case history.OpRead:
		if op.Type == history.Info {
			return constraint{}, false, nil
		}
		n, err := history.AsInt(op.Output)
		if err != nil {
			return constraint{}, false, fmt.Errorf("operation %d: the read value %q: %w", op.ID, op.Output, err)
		}
		f.read, f.saw = readIs, toValue(n)
	case history.OpWrite:
		n, err := history.AsInt(op.Input)
		if err != nil || n == nil {
			return constraint{}, false, fmt.Errorf("operation %d: the written value %q is no integer", op.ID, op.Input)
		}
		f.writes, f.wrote = true, toValue(n)
	case history.OpDelete:
		f.writes, f.wrote = true, absent
	case history.OpCAS, history.OpDeleteCAS:
		old, n, err := history.AsChange(op.Input)
		if err == nil && (n == nil) != (op.F == history.OpDeleteCAS) {
			err = fmt.Errorf("a %s does not set %s", op.F, toValue(n))
		}
		if err != nil {
			return constraint{}, false, fmt.Errorf("operation %d: the pair %q: %w", op.ID, op.Input, err)
		}
		f.read, f.saw = readIs, toValue(old)
		if op.Type != history.Fail {
			f.writes, f.wrote = true, toValue(n)
			if n == nil && f.saw.present {
				f.read = readIsOrGone
			}
			break
		}
		if len(op.Current) == 0 {
			f.read = readIsNot
			break
		}
		found, err := history.AsInt(op.Current)
		if err != nil {
			return constraint{}, false, fmt.Errorf("operation %d: the value found %q: %w", op.ID, op.Current, err)
		}
		f.saw = toValue(found)
		f.contradictory = f.saw == toValue(old)
	default:
		return constraint{}, false, fmt.Errorf("operation %d: a register has no %q", op.ID, op.F)
	}
	return f, true, nil
}

// compares reports whether an operation is refused where it does not find what it asks for.
func compares(f history.Op) bool { return f == history.OpCAS || f == history.OpDeleteCAS }

// uniqueWrites reports whether no value is written by two operations. As every register begins
// absent, it is false wherever something is deleted.
func uniqueWrites(constraints []constraint) bool { return len(repeated(constraints)) == 0 }

// repeated are the values that can stand in the register more than once.
func repeated(constraints []constraint) map[value]bool {
	many := map[value]bool{}
	seen := make(map[value]bool, len(constraints)/2)
	seen[absent] = true
	for i := range constraints {
		f := &constraints[i]
		if !f.writes {
			continue
		}
		if seen[f.wrote] {
			many[f.wrote] = true
		}
		seen[f.wrote] = true
	}
	return many
}

// project keeps of the constraints what concerns the values of keep; "absent" always stays. A
// compare-and-set from a kept to a dropped value stays as a read, one from a dropped to a
// kept value as a write (a compare-and-delete of a dropped value as a delete), and failed compares that do not report what they found are dropped.
//
// If the whole is linearizable, so is every projection: take its linearization and
// strike out the roles. While a dropped value stood in the register, the only operations
// were those that saw it or replaced it; the former are struck out, and the latter no
// longer say what they replaced. So if a projection is not linearizable, the whole is not
// either. (From striking out a write but not those that saw it nothing follows.)
func project(constraints []constraint, keep func(value) bool) []constraint {
	open := make([]constraint, 0, len(constraints))
	for _, f := range constraints {
		if f.read != readIsNot {
			open = append(open, f)
		}
	}
	return strike(open, keep)
}

// strike is project without dropping failed compares that hide what they found. It is
// sound only if none of them can have found a dropped value.
func strike(constraints []constraint, keep func(value) bool) []constraint {
	out := make([]constraint, 0, len(constraints))
	for _, f := range constraints {
		if (f.read == readIs || f.read == readIsOrGone) && f.saw.present && !keep(f.saw) {
			f.read = readNothing
		}
		if f.writes && !keep(f.wrote) {
			f.writes = false
		}
		if f.empty() || f.maybe && !f.writes {
			continue
		}
		out = append(out, f)
	}
	return out
}

// withoutAbsent strikes out what constraints say about "absent".
func withoutAbsent(constraints []constraint) []constraint {
	out := make([]constraint, 0, len(constraints))
	for _, f := range constraints {
		if f.read == readIsOrGone || f.read == readIs && f.saw == absent {
			f.read = readNothing
		}
		if f.writes && f.wrote == absent {
			f.writes = false
		}
		if !f.empty() {
			out = append(out, f)
		}
	}
	return out
}
