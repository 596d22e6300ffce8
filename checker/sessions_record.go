package checker

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"faultline/workloads/history"
)

// never is later than all that happens in a run.
const never = math.MaxInt64

// lockSession is a session and what answers prove of its life.
//
//	create                       last proof                 endsFrom           ended
//	|-- it lives certainly -----------|---- and until here ----|-- perhaps --------|-- it is gone
type lockSession struct {
	id         string
	ttl, delay int64 // ns
	deletes    bool  // its keys, at its end

	goodUntil int64              // until when it lives at least, unless it is destroyed: TTL after the sending of its last good renewal
	basis     *history.Operation // the create or renewal that says so
	proof     *history.Operation // of those that only a session that lives can have had, the one that was asked for last
	destroy   int64              // when its end was first asked for, with whatever success; never if it was not
	ended     *history.Operation // of those that say that it is gone, the one that was answered first; nil if none does
	refused   *history.Operation // the same of refusals
	renewals  []*history.Operation
	outlives  *history.Operation // a proof from a time at which it must have run out; nil if there is none
	gone      int64              // when it must have run out, or was answered to be gone; never if that is not known
}

// endsFrom is the earliest time at which the session can have ended.
func (s *lockSession) endsFrom() int64 {
	return max(s.proof.Invoke, min(s.goodUntil, s.destroy))
}

// lockKey is a lock and what clients asked of it, by invoke.
type lockKey struct {
	name              string
	acquires, renders []lockOp // renders are releases
	refused           []lockOp // acquires and releases that were answered with lock-held
	looks             []lockLook
	stranger          string // holder that no client of the run has made; empty if there is none
	ops               int
}

// lockOp is an acquire or a release.
type lockOp struct {
	*history.Operation
	by *lockSession
}

// certain reports whether the operation took effect, at the index that it was answered.
func (o lockOp) certain() bool { return o.Type == history.OK && o.ModifyIndex > 0 }

// lockLook is a read that is not stale.
type lockLook struct {
	*history.Operation
	entry  *history.Entry // nil: the key is absent
	holder *lockSession   // nil: nobody
}

// lockRecord is a history of the workload lock.
type lockRecord struct {
	sessions map[string]*lockSession
	order    []*lockSession // as they were made
	keys     map[string]*lockKey
	names    []string // of keys, sorted
}

// recordLocks reads a history. Without timed, the time to live of sessions promises nothing: clocks ran wrong.
func recordLocks(ops []history.Operation, timed bool) (*lockRecord, error) {
	r := &lockRecord{sessions: map[string]*lockSession{}, keys: map[string]*lockKey{}}
	for i := range ops {
		if op := &ops[i]; op.F == history.OpCreate && op.Type == history.OK {
			if err := r.create(op, timed); err != nil {
				return nil, err
			}
		}
	}
	for i := range ops {
		op := &ops[i]
		var err error
		switch op.F {
		case history.OpRead:
			err = r.look(op)
		case history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease:
			err = r.ask(op, timed)
		}
		if err != nil {
			return nil, err
		}
	}
	for name := range r.keys {
		r.names = append(r.names, name)
	}
	slices.Sort(r.names)
	for _, s := range r.order {
		if s.ended != nil {
			s.gone = s.ended.Return
		}
	}
	return r, nil
}

// sessionMade is the value of a good create.
type sessionMade struct {
	Session     string
	TTLMS       int64 `json:"ttl_ms"`
	LockDelayMS int64 `json:"lock_delay_ms"`
	Behavior    string
}

func (r *lockRecord) create(op *history.Operation, timed bool) error {
	var made sessionMade
	if err := json.Unmarshal(op.Output, &made); err != nil || made.Session == "" || made.TTLMS <= 0 {
		return fmt.Errorf("operation %d made the session %s", op.ID, excerpt(op.Output))
	}
	if r.sessions[made.Session] != nil {
		return fmt.Errorf("operation %d made session %s, which was there", op.ID, made.Session)
	}
	s := &lockSession{id: made.Session, ttl: made.TTLMS * int64(time.Millisecond), delay: made.LockDelayMS * int64(time.Millisecond),
		deletes: made.Behavior == "delete", basis: op, proof: op, destroy: never, gone: never, renewals: []*history.Operation{op}}
	s.goodUntil = op.Invoke
	if timed {
		s.goodUntil += s.ttl
	}
	r.sessions[s.id] = s
	r.order = append(r.order, s)
	return nil
}

// ask learns from an operation about a session.
func (r *lockRecord) ask(op *history.Operation, timed bool) error {
	s := r.sessions[sessionOf(op)]
	if s == nil {
		return fmt.Errorf("operation %d, %s, is about a session that nobody made", op.ID, op.F)
	}
	good, gone := op.Type == history.OK, op.Type == history.Fail && op.Error == history.NoSession
	switch op.F {
	case history.OpRenew:
		if !gone {
			s.renewals = append(s.renewals, op)
		}
		if good && timed && op.Invoke+s.ttl > s.goodUntil {
			s.goodUntil, s.basis = op.Invoke+s.ttl, op
		}
	case history.OpDestroy:
		if op.Type != history.Fail {
			s.destroy = min(s.destroy, op.Invoke)
		}
		gone, good = gone || good, false
	}
	if good {
		s.lives(op)
	}
	if gone && (s.ended == nil || op.Return < s.ended.Return) {
		s.ended = op
	}
	if gone && op.F != history.OpDestroy && (s.refused == nil || op.Return < s.refused.Return) {
		s.refused = op
	}
	if op.F == history.OpAcquire || op.F == history.OpRelease {
		r.lock(lockOp{op, s})
	}
	return nil
}

func (s *lockSession) lives(op *history.Operation) {
	if op.Invoke > s.proof.Invoke {
		s.proof = op
	}
}

func (r *lockRecord) key(name string) *lockKey {
	k := r.keys[name]
	if k == nil {
		k = &lockKey{name: name}
		r.keys[name] = k
	}
	k.ops++
	return k
}

func (r *lockRecord) lock(op lockOp) {
	k := r.key(op.Key)
	switch {
	case op.Type == history.Fail && op.Error == history.LockHeld:
		k.refused = append(k.refused, op)
	case op.Type == history.Fail:
	case op.F == history.OpAcquire:
		k.acquires = append(k.acquires, op)
	default:
		k.renders = append(k.renders, op)
	}
}

func (r *lockRecord) look(op *history.Operation) error {
	k := r.key(op.Key)
	if op.Type != history.OK || op.Mode == history.ModeStale {
		return nil
	}
	look := lockLook{Operation: op}
	if err := json.Unmarshal(op.Output, &look.entry); err != nil {
		return fmt.Errorf("operation %d read %s, which is no entry", op.ID, excerpt(op.Output))
	}
	if look.entry != nil && look.entry.Session != "" {
		if look.holder = r.sessions[look.entry.Session]; look.holder == nil {
			k.stranger = look.entry.Session
			return nil
		}
		look.holder.lives(op)
	}
	k.looks = append(k.looks, look)
	return nil
}
