package checker

import (
	"cmp"
	"fmt"
	"slices"

	"faultline/workloads/history"
)

// version is a state of a lock that an answer shows, by the modify index under which the store made it.
type version struct {
	op      *history.Operation
	index   uint64
	holder  *lockSession // nil: nobody
	created uint64       // index of the write that made the key; 0: not told
	locked  uint64       // how often it has been locked; 0: not told
	read    bool
	value   string // of a read
}

// unplaced is, of each kind of operation on a lock whose place in the order of indexes nobody knows, the
// earliest time at which it can have taken effect: those of unknown fate, and those that were
// answered without an index.
type unplaced struct {
	acquired, released map[*lockSession]int64
	anyAcquired        int64
	deleted            int64 // by the end of a session that holds it by such an acquire and deletes its keys
}

func unplacedOf(k *lockKey) unplaced {
	u := unplaced{map[*lockSession]int64{}, map[*lockSession]int64{}, never, never}
	earliest := func(of map[*lockSession]int64, op lockOp) {
		if t, ok := of[op.by]; !ok || op.Invoke < t {
			of[op.by] = op.Invoke
		}
	}
	for _, a := range k.acquires {
		if a.certain() {
			continue
		}
		earliest(u.acquired, a)
		u.anyAcquired = min(u.anyAcquired, a.Invoke)
		if a.by.deletes {
			u.deleted = min(u.deleted, max(a.Invoke, a.by.endsFrom()))
		}
	}
	for _, r := range k.renders {
		if !r.certain() {
			earliest(u.released, r)
		}
	}
	return u
}

func by(of map[*lockSession]int64, s *lockSession, t int64) bool {
	from, ok := of[s]
	return ok && from <= t
}

// canLose reports whether, after a version that an answer shows and with no other known version between,
// the holder can have lost the lock by t.
func (u unplaced) canLose(holder *lockSession, t int64) bool {
	return holder == nil || holder.endsFrom() <= t || by(u.released, holder, t)
}

// versionsOf are the versions of a lock that answers show, by index; of one index writes come before reads.
func versionsOf(k *lockKey) (all []version) {
	for _, a := range k.acquires {
		if a.certain() {
			all = append(all, version{op: a.Operation, index: a.ModifyIndex, holder: a.by})
		}
	}
	for _, r := range k.renders {
		if r.certain() {
			all = append(all, version{op: r.Operation, index: r.ModifyIndex})
		}
	}
	for _, l := range k.looks {
		if e := l.entry; e != nil && e.ModifyIndex > 0 {
			all = append(all, version{op: l.Operation, index: e.ModifyIndex, holder: l.holder, created: e.CreateIndex, locked: e.LockIndex, read: true, value: e.Value})
		}
	}
	slices.SortStableFunc(all, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(rank(a.read), rank(b.read)), cmp.Compare(a.op.Invoke, b.op.Invoke))
	})
	for i := len(all) - 2; i >= 0; i-- { // a key that was made before a write, and is seen after it, was there all along
		if next := all[i+1].created; all[i].created == 0 && next <= all[i].index {
			all[i].created = next
		}
	}
	return all
}

func rank(read bool) int {
	if read {
		return 1
	}
	return 0
}

// judgeVersions holds the versions of a lock against the store's sequential specification, one after the
// other in the order of their indexes, which is the order in which the store made them. Between two that
// follow one another in the record, sessions may have ended, and operations of unknown fate may have
// taken effect; the rest is proved not to have happened:
//
//	acquire by s   somebody else held it before, and can neither have ended nor released it
//	release by s   s did not hold it before
//	read           another holder than the version has, or one that nobody can have made
func judgeVersions(k *lockKey) (why string, ops []*history.Operation) {
	u := unplacedOf(k)
	all := versionsOf(k)
	var kept *version // the last one whose holder lost the lock only by its end, which had to delete the key
	var told *version // the last one with a lock index
	for i := range all {
		is := &all[i]
		if is.locked > 0 {
			if told != nil && lockIndexFell(told, is) {
				return fmt.Sprintf("the lock index was %d at index %d under %s, and %d at index %d under %s", told.locked, told.index, named(told.holder), is.locked, is.index, named(is.holder)),
					[]*history.Operation{told.op, is.op}
			}
			told = is
		}
		if i == 0 {
			if why := u.first(is); why != "" {
				return why, []*history.Operation{is.op}
			}
			continue
		}
		was := &all[i-1]
		why := ""
		if was.index == is.index {
			why = sameVersion(was, is)
		} else {
			why = u.step(was, is)
			if h := was.holder; h != nil && h.deletes && is.holder != h && !by(u.released, h, is.op.Return) && !isRelease(is, h) {
				kept = was
			}
		}
		if why != "" {
			return why, []*history.Operation{was.op, is.op}
		}
		if kept != nil && is.created > 0 && is.created <= kept.index {
			return fmt.Sprintf("session %s held it at index %d, never released it and deletes its keys at its end, and a read at %s found the key, with the index %d and made at %d, under no session or another's",
				brief(kept.holder.id), kept.index, clock(is.op.Return), is.index, is.created), []*history.Operation{kept.op, is.op}
		}
	}
	return "", nil
}

func isRelease(v *version, holder *lockSession) bool {
	return v.op.F == history.OpRelease && sessionOf(v.op) == holder.id
}

// lockIndexFell compares what two reads tell of how often a lock was acquired, as long as the key was not made anew.
// It rises whenever a lock that is free is acquired (Consul's documentation of the KV store, LockIndex).
func lockIndexFell(was, is *version) bool {
	return was.created == is.created &&
		(is.locked < was.locked || is.locked == was.locked && is.holder != nil && was.holder != nil && is.holder != was.holder)
}

// first judges the first version of a lock, before which nobody held it.
func (u unplaced) first(is *version) string {
	return u.step(&version{op: is.op, created: is.created}, is)
}

// sameVersion compares two answers under one index. A Consul keeps the index of a lock that its
// holder acquires again.
func sameVersion(a, b *version) string {
	switch {
	case a.holder != b.holder:
		return fmt.Sprintf("index %d stands for %s in the answer to %s, and for %s in that to %s", a.index, named(a.holder), a.op.F, named(b.holder), b.op.F)
	case !b.read && (a.op.F != history.OpAcquire || b.op.F != history.OpAcquire):
		return fmt.Sprintf("%s and %s got one index, %d", a.op.F, b.op.F, a.index)
	case b.read && !a.read && b.value != sessionOf(a.op):
		return fmt.Sprintf("the %s with the index %d wrote %q, and a read found %q", a.op.F, a.index, brief(sessionOf(a.op)), excerpt([]byte(b.value)))
	}
	return ""
}

// step judges what became of a lock from one version to the next that is known.
func (u unplaced) step(was, is *version) string {
	t := is.op.Return
	holder := was.holder
	if is.created > was.index && was.index > 0 && u.deleted > t && !(holder != nil && holder.deletes && holder.endsFrom() <= t) {
		return fmt.Sprintf("the key of index %d was deleted: at index %d it was made anew; and no session that deletes its keys can have held it and ended", was.index, is.created)
	}
	lost := u.canLose(holder, t)
	switch s := is.holder; {
	case is.op.F == history.OpAcquire && holder != s && !lost:
		return fmt.Sprintf("session %s acquired it at index %d, and session %s held it at index %d and can neither have ended nor released it by %s",
			brief(s.id), is.index, brief(holder.id), was.index, clock(t))
	case is.op.F == history.OpRelease:
		if id := sessionOf(is.op); (holder == nil || holder.id != id) && !(lost && u.takenBy(id, t)) {
			return fmt.Sprintf("session %s released it at index %d, and did not hold it: at index %d %s", brief(id), is.index, was.index, named(holder)+" held it")
		}
	case is.read && s != nil && !(by(u.acquired, s, t) && (holder == s || lost)):
		return fmt.Sprintf("a read at %s found it held by session %s at index %d, at which no acquire of it can have been made", clock(t), brief(s.id), is.index)
	case is.read && s == nil && (!lost || holder == nil && u.anyAcquired > t):
		return fmt.Sprintf("a read at %s found it free at index %d, and nobody can have made that of index %d, when %s", clock(t), is.index, was.index, named(holder)+" held it")
	}
	return ""
}

func (u unplaced) takenBy(id string, t int64) bool {
	for s, from := range u.acquired {
		if s.id == id {
			return from <= t
		}
	}
	return false
}

func named(s *lockSession) string {
	if s == nil {
		return "nobody"
	}
	return "session " + brief(s.id)
}
