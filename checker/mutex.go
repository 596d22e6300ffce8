package checker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"faultline/workloads/history"
)

// Mutex is the checker of the workload lock.
func Mutex() Checker {
	return PerDatacenter(Checker{
		Name:  "mutex",
		Doc:   "A lock never has two holders, by what these could know, and its fencing tokens rise.",
		Check: checkMutex, Prefix: true,
	})
}

// checkMutex asks whether a lock ever had two holders, by what these could know.
//
// A session lives at least its TTL after it was made or renewed. When the server began to
// count is not visible, but it was after the request was sent. So a client that counts its
// TTL from the sending of the last renewal that was answered well, by its own clock, is
// right to believe in its session; and a renewal that succeeds shows that the session, and
// so its locks, had lived until then. It holds a lock
//
//	from  the answer to its acquire
//	to    the sending of its release or of the end of its session, unless that certainly failed, or,
//	      if that comes first, the sending of its last good renewal + TTL
//
// and two holds of one lock, by two sessions, must not overlap. An acquire of unknown fate
// is no hold: no client acts on it. Nor is one while a release of unknown fate may come yet. Sessions of
// this workload depend on no health check, whose
// failure would end them earlier (Consul's documentation of sessions says so).
//
// Beside that, every acquire must have a larger modify index than all acquires and releases of
// that lock which were answered before it was asked for: as a fencing token it is what a
// store can reject a late holder by (Kleppmann, "How to do distributed locking", 2016). No token is
// given twice either, unless a holder acquires again what it holds, of which Consul need not make
// a new version.
//
// What a hold leaves open, the checker sessions judges by the order of the indexes: a second holder in the
// time between TTL and end, an acquire whose answer came too late to hold anything.
func checkMutex(_ context.Context, run *Run) Result {
	holds, tokens, err := lockHistory(run.Ops)
	if err != nil {
		return Result{Verdict: Unknown, Summary: "the history does not fit locks: " + err.Error()}
	}
	refused := 0
	for i := range run.Ops {
		if op := &run.Ops[i]; op.F == history.OpAcquire && op.Error == history.LockHeld {
			refused++
		}
	}
	r := Result{Metrics: []Metric{{Name: "holds", Value: float64(len(holds))}, {Name: "locks", Value: float64(locksOf(holds))},
		{Name: "refused, as the lock was held", Value: float64(refused)}, {Name: "fencing tokens", Value: float64(len(tokens))}}}
	for _, pair := range overlaps(holds) {
		r.Reasons = append(r.Reasons, pair.words())
		r.Counterexamples = append(r.Counterexamples, pair.counterexample(run.Ops))
	}
	for _, pair := range unfenced(tokens) {
		r.Reasons = append(r.Reasons, pair.words())
		r.Counterexamples = append(r.Counterexamples, pair.counterexample())
	}
	switch {
	case len(r.Reasons) > 0:
		r.Verdict, r.Summary = Invalid, r.Reasons[0]
		r.Reasons = capped(r.Reasons)
		r.Counterexamples = r.Counterexamples[:min(len(r.Counterexamples), maxReasons)]
	case len(holds) < minHolds:
		r.Verdict, r.Summary = Unknown, fmt.Sprintf("locks were held %d times; fewer than %d are not enough", len(holds), minHolds)
	case refused == 0:
		r.Verdict, r.Summary = Unknown, "nobody ever asked for a lock that another held"
	default:
		fenced := fmt.Sprintf("with rising fencing tokens (%d)", len(tokens))
		if len(tokens) == 0 {
			fenced = "and no answer carried a fencing token"
		}
		r.Verdict, r.Summary = Valid, fmt.Sprintf("%s of %s, one at a time, %s",
			plural(len(holds), "hold"), plural(locksOf(holds), "lock"), fenced)
	}
	return r
}

// minHolds is how many holds a verdict needs at least.
const minHolds = 10

// hold is a time during which a client was right to believe that it holds a lock.
type hold struct {
	key, session string
	from, until  int64 // ns; from the answer of the acquire
	acquired     *history.Operation
	basis        *history.Operation // the create or renewal on which its end stands, if time ended it
}

// session is one, as its client knows it.
type session struct {
	ttl        int64
	validUntil int64              // until when it lives at least
	by         *history.Operation // the create or renewal that says so
	ends       int64              // when its end was asked for
	asks       []*history.Operation
}

// lockHistory finds the holds, and the operations that got fencing tokens.
func lockHistory(ops []history.Operation) (holds []hold, tokens []*history.Operation, err error) {
	sessions := map[string]*session{}
	for i := range ops {
		op := &ops[i]
		if op.F == history.OpCreate {
			if err := newSession(sessions, op); err != nil {
				return nil, nil, err
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		if op.F == history.OpCreate || op.F == history.OpRead {
			continue
		}
		s := sessions[sessionOf(op)]
		if s == nil {
			return nil, nil, fmt.Errorf("operation %d, %s, is about a session that nobody made", op.ID, op.F)
		}
		s.asks = append(s.asks, op)
		good := op.Type == history.OK
		switch {
		case op.F == history.OpRenew && good && op.Invoke+s.ttl > s.validUntil:
			s.validUntil, s.by = op.Invoke+s.ttl, op
		case op.F == history.OpDestroy && op.Type != history.Fail:
			s.ends = min(s.ends, op.Invoke)
		}
		if (op.F == history.OpAcquire || op.F == history.OpRelease) && good && op.ModifyIndex > 0 {
			tokens = append(tokens, op)
		}
	}
	for id, s := range sessions {
		holds = append(holds, s.holds(id)...)
	}
	slices.SortFunc(holds, func(a, b hold) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.acquired.ID, b.acquired.ID))
	})
	return holds, tokens, nil
}

func newSession(sessions map[string]*session, op *history.Operation) error {
	if op.Type != history.OK {
		return nil
	}
	var made struct {
		Session string
		TTLMS   int64 `json:"ttl_ms"`
	}
	if err := json.Unmarshal(op.Output, &made); err != nil || made.Session == "" || made.TTLMS <= 0 {
		return fmt.Errorf("operation %d made the session %s", op.ID, op.Output)
	}
	if sessions[made.Session] != nil {
		return fmt.Errorf("operation %d made session %s, which was there", op.ID, made.Session)
	}
	ttl := made.TTLMS * int64(time.Millisecond)
	sessions[made.Session] = &session{ttl: ttl, validUntil: op.Invoke + ttl, by: op, ends: math.MaxInt64}
	return nil
}

func sessionOf(op *history.Operation) (id string) {
	if json.Unmarshal(op.Input, &id) != nil {
		return ""
	}
	return id
}

// holds are those of one session. To acquire again what one holds goes on holding it.
func (s *session) holds(id string) (all []hold) {
	for _, op := range s.asks {
		if op.F != history.OpAcquire || op.Type != history.OK {
			continue
		}
		h := hold{key: op.Key, session: id, from: op.Return, until: min(s.validUntil, s.ends), acquired: op}
		if s.validUntil <= s.ends {
			h.basis = s.by
		}
		for _, r := range s.asks {
			if r.F == history.OpRelease && r.Key == op.Key && r.Type != history.Fail && r.Return > op.Invoke && r.Invoke < h.until {
				h.until, h.basis = r.Invoke, nil
			}
		}
		if h.until > h.from {
			all = append(all, h)
		}
	}
	return all
}

func locksOf(holds []hold) int {
	keys := map[string]bool{}
	for _, h := range holds {
		keys[h.key] = true
	}
	return len(keys)
}

// overlap is two holds of one lock at once.
type overlap struct{ first, second hold }

// overlaps finds, for each hold, whether one before it still lasts, by another session.
func overlaps(holds []hold) (found []overlap) {
	last := map[string]hold{} // of those so far the one that lasts longest, by key
	for _, h := range holds {
		before, ok := last[h.key]
		if ok && before.session != h.session && h.from < before.until {
			found = append(found, overlap{before, h})
		}
		if !ok || h.until > before.until {
			last[h.key] = h
		}
	}
	return found
}

func (o overlap) words() string {
	a, b := o.first, o.second
	text := fmt.Sprintf("lock %s had two holders from %s to %s: session %s since %s", a.key, clock(b.from), clock(min(a.until, b.until)), brief(a.session), clock(a.from))
	if a.basis != nil {
		verb := map[history.Op]string{history.OpRenew: "renewed", history.OpCreate: "made"}[a.basis.F]
		text += fmt.Sprintf(", %s at %s and so good until %s,", verb, clock(a.basis.Invoke), clock(a.until))
	} else {
		text += fmt.Sprintf(", and not released before %s,", clock(a.until))
	}
	return text + fmt.Sprintf(" and session %s, whose acquire was answered at %s", brief(b.session), clock(b.from))
}

// brief is enough of an ID to find it.
func brief(id string) string { return id[:min(len(id), 8)] }

func (o overlap) counterexample(ops []history.Operation) Counterexample {
	c := Counterexample{Key: o.first.key, Why: o.words()}
	for _, op := range []*history.Operation{o.first.acquired, o.first.basis, o.second.acquired} {
		if op != nil && !slices.ContainsFunc(c.Ops, func(have history.Operation) bool { return have.ID == op.ID }) {
			c.Ops = append(c.Ops, *op)
		}
	}
	slices.SortFunc(c.Ops, func(a, b history.Operation) int { return cmp.Compare(a.Invoke, b.Invoke) })
	for i := range ops {
		if ops[i].Key == o.first.key {
			c.Of++
		}
	}
	return c
}

// unfencedPair is two operations on a lock whose tokens are not in the order of their times.
type unfencedPair struct{ before, after *history.Operation }

// unfenced finds operations that were asked for after another on the same lock had been
// answered, and did not get a larger token.
func unfenced(tokens []*history.Operation) (found []unfencedPair) {
	byKey := map[string][]*history.Operation{}
	for _, op := range tokens {
		byKey[op.Key] = append(byKey[op.Key], op)
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		ops := byKey[key] // by invoke
		answered := slices.Clone(ops)
		slices.SortFunc(answered, func(a, b *history.Operation) int { return cmp.Compare(a.Return, b.Return) })
		var largest *history.Operation
		for _, op := range ops {
			for len(answered) > 0 && answered[0].Return < op.Invoke {
				if largest == nil || answered[0].ModifyIndex > largest.ModifyIndex {
					largest = answered[0]
				}
				answered = answered[1:]
			}
			if largest != nil && op.ModifyIndex <= largest.ModifyIndex && !again(largest, op) {
				found = append(found, unfencedPair{largest, op})
			}
		}
		found = append(found, doubled(ops)...)
	}
	return found
}

// doubled finds tokens that two operations got, which may have been under way at once.
func doubled(ops []*history.Operation) (found []unfencedPair) {
	first := map[uint64]*history.Operation{}
	for _, op := range ops {
		before := first[op.ModifyIndex]
		if before == nil {
			first[op.ModifyIndex] = op
		} else if before.Return >= op.Invoke && !again(before, op) {
			found = append(found, unfencedPair{before, op})
		}
	}
	return found
}

// again reports whether a session acquired again what it held, under the same index.
func again(a, b *history.Operation) bool {
	return a.F == history.OpAcquire && b.F == history.OpAcquire && a.ModifyIndex == b.ModifyIndex && sessionOf(a) == sessionOf(b)
}

func (p unfencedPair) words() string {
	return fmt.Sprintf("lock %s: %s was asked for at %s and got the token %d, though %s had got %d by %s", p.after.Key, p.after.F,
		clock(p.after.Invoke), p.after.ModifyIndex, p.before.F, p.before.ModifyIndex, clock(p.before.Return))
}

func (p unfencedPair) counterexample() Counterexample {
	return Counterexample{Key: p.after.Key, Why: p.words(), Ops: []history.Operation{*p.before, *p.after}, Of: 2}
}
