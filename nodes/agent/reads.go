package agent

import (
	"context"
	"slices"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// A read is answered in one of three ways.
//
//   - stale: from the copy of whichever server receives it.
//   - consistent: by the leader, by ReadIndex (readindex.go): after it has confirmed its
//     leadership, from a copy that has applied everything that was committed before that.
//   - default: by the leader under its lease; if the lease has expired, after it has
//     confirmed its leadership.
//
// The last two are linearizable. At some instant t after the read arrived, no later
// leader had been elected (by ReadIndex, or by the lease). So every write that was
// acknowledged before the read arrived was committed by this leader, or before it led.
// The first kind is in the copy, for this leader acknowledges a write once it is
// applied; the second because the leadership is ready (leadership.go). What is read may
// be newer than t, but never older. In particular it does no harm if the process is
// stopped between the check and the read.

// readRouting returns which server may answer a read.
func readRouting(a *Agent, args readArgs) routing {
	if args.Mode == history.ModeStale || a.defects[StaleFollowerRead] && args.Mode == history.ModeDefault {
		return toAnyServer
	}
	return toLeader
}

// read answers a read; a blocking one once its index has grown or its wait has expired.
func (s *server) read(ctx context.Context, args readArgs) (readReply, error) {
	wait := time.NewTimer(time.Duration(args.WaitMS) * time.Millisecond)
	defer wait.Stop()
	for woken, expired := false, false; ; woken = true {
		before := s.store.Query(args.Query) // of the defect watch-index-after-state
		if err := s.freshen(ctx, args.Mode); err != nil {
			return readReply{}, err
		}
		view := s.store.Query(args.Query)
		if s.a.defects[ListInHalves] {
			view = s.secondHalf(view, args.Query)
		}
		if s.a.defects[WatchIndexAfterState] {
			view.Entries = before.Entries
		}
		if args.MinIndex == 0 || expired || s.changedSince(view, args.MinIndex, woken) {
			return s.readReply(view), nil
		}
		select {
		case <-view.Changed:
		case <-view.Abandoned:
		case <-wait.C:
			expired = true
		case <-s.stopped:
			return readReply{}, nodes.Errorf(history.NotReady, "rpc error: the server is stopping")
		case <-ctx.Done():
			return readReply{}, nodes.Errorf(history.Timeout, "rpc error: %v", ctx.Err())
		}
	}
}

// changedSince reports whether a view ends the wait of a blocking query. woken means that it has begun to wait.
func (s *server) changedSince(view kv.View, index uint64, woken bool) bool {
	d := s.a.defects
	if d[WatchMissesDeletes] && woken && len(view.Entries) == 0 {
		return false
	}
	return view.Index > index || d[WatchNeverWaits] && view.Index == index
}

// secondHalf is the defect list-in-halves: the second half of a listing is read later than the first.
func (s *server) secondHalf(first kv.View, q kv.Query) kv.View {
	half := len(first.Entries) / 2
	if half == 0 {
		return first
	}
	time.Sleep(10 * time.Millisecond)
	second, from := s.store.Query(q), first.Entries[half].Key
	entries := slices.Clone(first.Entries[:half])
	for _, e := range second.Entries {
		if e.Key >= from {
			entries = append(entries, e)
		}
	}
	second.Entries = entries
	return second
}

// freshen makes sure that this server's copy may answer a read of the mode now.
func (s *server) freshen(ctx context.Context, mode history.Mode) error {
	d := s.a.defects
	_, leads := s.leading()
	switch {
	case mode == history.ModeStale:
		return nil
	case mode == history.ModeDefault && d[StaleFollowerRead] && !leads:
		return nil
	case mode == history.ModeDefault && d[DeposedLeaderRead] && leads:
		return nil
	}
	l, err := s.leadershipNow()
	if err != nil {
		return err
	}
	if mode == history.ModeConsistent {
		return l.awaitConsistent(ctx, d)
	}
	if err := l.awaitReady(ctx); err != nil {
		return err
	}
	if l.leased() {
		return nil
	}
	_, err = l.readIndex(ctx)
	return err
}

// awaitConsistent waits until this copy may answer a consistent read.
func (l *leadership) awaitConsistent(ctx context.Context, d defects) error {
	if d[ConsistentReadBeforeApply] {
		_, err := l.readIndex(ctx)
		return err
	}
	if err := l.awaitReady(ctx); err != nil {
		return err
	}
	index, err := l.readIndex(ctx)
	if err != nil {
		return err
	}
	if err := l.s.store.WaitApplied(ctx, index); err != nil {
		return nodes.Errorf(history.Timeout, "entry %d is not applied yet: %v", index, err)
	}
	return nil
}

func (s *server) readReply(view kv.View) readReply {
	reply := readReply{Entries: view.Entries, Names: view.Names, Index: max(view.Index, 1), KnownLeader: s.leaderAddr() != ""}
	if _, leads := s.leading(); !leads && !s.a.defects[LastContactLies] {
		reply.LastContactMS = time.Since(s.raft.LastContact()).Milliseconds()
	}
	return reply
}
