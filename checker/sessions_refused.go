package checker

import (
	"fmt"
	"sort"

	"faultline/workloads/history"
)

// possibleHold is the longest time in which a session can have held a lock by one acquire.
type possibleHold struct {
	acquire lockOp
	until   int64
	end     *history.Operation // that ends it; nil if nothing does, or time
}

// possibleHolds are the possible holds of a lock, by the invoke of their acquires. One ends when an answer says that its
// session is gone, or when a release of it was answered that was asked for after the acquire was
// answered. The lock delay of a session may keep the lock closed after it, and for how long nobody can
// say: every server counts it from when it learned of the end, and in a restart perhaps once more.
func possibleHolds(k *lockKey) []possibleHold {
	type render struct {
		asked int64
		first *history.Operation // to be answered of those from here on
	}
	released := map[*lockSession][]render{} // good ones, by invoke
	for _, r := range k.renders {
		if r.Type == history.OK {
			released[r.by] = append(released[r.by], render{r.Invoke, r.Operation})
		}
	}
	for _, all := range released {
		for i := len(all) - 2; i >= 0; i-- {
			if all[i+1].first.Return < all[i].first.Return {
				all[i].first = all[i+1].first
			}
		}
	}
	var holds []possibleHold
	for _, a := range k.acquires {
		s := possibleHold{a, a.by.gone, a.by.ended}
		if a.by.delay > 0 {
			s.until, s.end = never, nil
		}
		all := released[a.by]
		i := sort.Search(len(all), func(i int) bool { return all[i].asked > a.Return })
		if i < len(all) && all[i].first.Return < s.until {
			s.until, s.end = all[i].first.Return, all[i].first
		}
		holds = append(holds, s)
	}
	return holds
}

// longest are, of those that begin up to some acquire, the one that lasts longest, and the one
// that does so of all other sessions.
type longest struct{ any, other *possibleHold }

func (l longest) but(s *lockSession) *possibleHold {
	if l.any != nil && l.any.acquire.by == s {
		return l.other
	}
	return l.any
}

func (l longest) with(s *possibleHold) longest {
	switch {
	case l.any == nil || s.until >= l.any.until:
		if l.any != nil && l.any.acquire.by != s.acquire.by {
			l.other = l.any
		}
		l.any = s
	case s.acquire.by != l.any.acquire.by && (l.other == nil || s.until >= l.other.until):
		l.other = s
	}
	return l
}

// judgeRefusals asks of each lock-held whether it had a possible reason at any instant between request
// and answer: of an acquire, that another session can have held the lock, or that a lock delay can have
// been in force; of a release, that its session can have been without the lock.
func judgeRefusals(k *lockKey) (why string, ops []*history.Operation) {
	holds := possibleHolds(k)
	best := make([]longest, len(holds)+1)
	for i := range holds {
		best[i+1] = best[i].with(&holds[i])
	}
	mine := ownOf(k)
	for _, op := range k.refused {
		if op.F == history.OpRelease {
			if a := mine[op.by].certainlyHeld(op); a != nil {
				return fmt.Sprintf("session %s was refused to release it at %s with %s, and held it: its acquire was answered at %s, and it can neither have ended nor released it",
					brief(op.by.id), clock(op.Return), op.Error, clock(a.Return)), []*history.Operation{a, op.Operation}
			}
			continue
		}
		n := sort.Search(len(holds), func(i int) bool { return holds[i].acquire.Invoke > op.Return })
		held := best[n].but(op.by)
		if op.by.delay > 0 {
			held = best[n].any // its own lock delay, if it has ended
		}
		if held != nil && held.until >= op.Invoke {
			continue
		}
		text := fmt.Sprintf("session %s asked for it at %s and was refused with %s at %s, and nobody can have held it", brief(op.by.id), clock(op.Invoke), op.Error, clock(op.Return))
		if held == nil {
			return text + ": nobody else had ever asked for it", []*history.Operation{op.Operation}
		}
		text += fmt.Sprintf(": the last who can have was session %s, until %s", brief(held.acquire.by.id), clock(held.until))
		ops := []*history.Operation{held.acquire.Operation, op.Operation}
		if held.end != nil {
			ops = append(ops, held.end)
		}
		return text, ops
	}
	return "", nil
}

// own is what one session asked of a lock.
type own struct{ acquires, renders []lockOp }

func ownOf(k *lockKey) map[*lockSession]own {
	all := map[*lockSession]own{}
	for _, a := range k.acquires {
		if a.Type == history.OK {
			o := all[a.by]
			o.acquires = append(o.acquires, a)
			all[a.by] = o
		}
	}
	for _, r := range k.renders {
		o := all[r.by]
		o.renders = append(o.renders, r)
		all[r.by] = o
	}
	return all
}

// certainlyHeld returns a good acquire after which the session certainly held the lock for all of the time of an operation,
// if there is one.
func (o own) certainlyHeld(op lockOp) *history.Operation {
	if op.by.endsFrom() <= op.Return {
		return nil
	}
	var last *history.Operation // answered before op, the one that was asked for last
	for _, a := range o.acquires {
		if a.Return < op.Invoke {
			last = a.Operation
		}
	}
	if last == nil {
		return nil
	}
	for _, r := range o.renders {
		if r.Return >= last.Invoke && r.Invoke <= op.Return {
			return nil
		}
	}
	return last
}
