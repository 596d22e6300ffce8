package agent

import (
	"context"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// A read is answered in one of three ways.
//
//   - stale: from the copy of whichever server is asked.
//   - consistent: by the leader, after a round that began after the read arrived, from a
//     copy that has applied everything that was committed when the round began.
//   - default: by the leader under its lease; if the lease has run out, after a round.
//
// The last two are linearizable. At some instant t after the read arrived, no later
// leader had been elected (by the round, or by the lease). So every write that was
// acknowledged before the read arrived was committed by this leader, or before it led.
// The first kind is in the copy, for this leader acknowledges a write once it is
// applied; the second because the leadership is ready (leadership.go). What is read may
// be newer than t, but never older. In particular it does no harm if the process is
// stopped between the check and the read.

// readPlace tells who may answer a read.
func readPlace(a *Agent, args readArgs) place {
	if args.Mode == history.ModeStale || a.defects[StaleFollowerRead] && args.Mode == history.ModeDefault {
		return anyServer
	}
	return theLeader
}

// read answers a read; a blocking one once its index has grown or its time is up.
func (s *server) read(ctx context.Context, args readArgs) (readReply, error) {
	wait := time.NewTimer(time.Duration(args.WaitMS) * time.Millisecond)
	defer wait.Stop()
	expired := false
	for {
		if err := s.freshen(ctx, args.Mode); err != nil {
			return readReply{}, err
		}
		view := s.store.Query(args.Query)
		if args.MinIndex == 0 || view.Index > args.MinIndex || expired {
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
		return l.confirmed(ctx, d)
	}
	if err := l.awaitReady(ctx); err != nil {
		return err
	}
	if l.leased() {
		return nil
	}
	_, err = l.round(ctx)
	return err
}

// confirmed is what a consistent read waits for.
func (l *leadership) confirmed(ctx context.Context, d defects) error {
	if d[ConsistentReadBeforeApply] {
		_, err := l.round(ctx)
		return err
	}
	if err := l.awaitReady(ctx); err != nil {
		return err
	}
	r, err := l.round(ctx)
	if err != nil {
		return err
	}
	if err := l.s.store.WaitApplied(ctx, r.commit); err != nil {
		return nodes.Errorf(history.Timeout, "entry %d is not applied yet: %v", r.commit, err)
	}
	return nil
}

func (s *server) readReply(view kv.View) readReply {
	reply := readReply{Entries: view.Entries, Names: view.Names, Index: max(view.Index, 1), KnownLeader: s.leaderAddr() != ""}
	if _, leads := s.leading(); !leads {
		reply.LastContactMS = time.Since(s.raft.LastContact()).Milliseconds()
	}
	return reply
}
