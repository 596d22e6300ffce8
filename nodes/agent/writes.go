package agent

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// write commits a command. It runs on the leader only.
func (s *server) write(ctx context.Context, args writeArgs) (writeReply, error) {
	if s.a.defects[AckBeforeCommit] {
		return s.writeUnsafely(args.Command)
	}
	if c, err := kv.ParseCommand(args.Command); err == nil && c.Op == kv.Acquire && !s.a.defects[LockDelayIgnored] && s.delays.delayed(c.Key, s.a.host.Monotonic()) {
		return writeReply{}, nil
	}
	propose := s.propose
	if s.a.defects[DeleteTreeKeyByKey] {
		propose = s.proposeKeyByKey
	}
	result, err := propose(ctx, args.Command)
	if err != nil {
		return writeReply{}, err
	}
	if result.NoSession {
		return writeReply{}, nodes.Errorf(history.NoSession, "%s", result.Err)
	}
	if result.Err != "" {
		return writeReply{}, nodes.Errorf(history.BadRequest, "%s", result.Err)
	}
	return writeReply{OK: result.OK, Index: result.Index, Found: result.Found, Current: result.Current}, nil
}

// propose hands a command to Raft and waits until it is applied here.
func (s *server) propose(ctx context.Context, command []byte) (kv.Result, error) {
	if ctx.Err() != nil {
		return kv.Result{}, nodes.Errorf(history.NotReady, "rpc error: nobody waits for it any more: %v", ctx.Err())
	}
	f := s.raft.Apply(command, enqueueTimeout(ctx))
	if err := s.await(ctx, f); err != nil {
		return kv.Result{}, raftError(err)
	}
	return f.Response().(kv.Result), nil
}

// proposeKeyByKey is the defect delete-tree-key-by-key.
func (s *server) proposeKeyByKey(ctx context.Context, command []byte) (kv.Result, error) {
	if c, err := kv.ParseCommand(command); err == nil && c.Op == kv.DeleteTree {
		for _, e := range s.store.Query(kv.Query{Kind: kv.List, Key: c.Key}).Entries {
			if r, err := s.propose(ctx, kv.Command{Op: kv.Delete, Key: e.Key}.Append(nil)); err != nil {
				return r, err
			}
		}
		command = kv.Command{Op: kv.Barrier}.Append(nil)
	}
	return s.propose(ctx, command)
}

// enqueueTimeout is how long to wait for Raft to take a command.
func enqueueTimeout(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(time.Until(deadline), time.Millisecond)
	}
	return holdAtOrigin
}

// raftErrors are the failures of an Apply after which it is certain that the entry was
// never appended (hashicorp/raft v1.8.0: all are answered in place of an append). After
// any other, it may have been replicated, and a later leader may commit it:
//
//   - ErrLeadershipLost: it was appended here, and replication was under way.
//   - ErrRaftShutdown: also answered for entries that are committed.
//   - ErrAbortedByRestore: the same.
//   - an error of the log store: what is on the disk is not known.
var raftErrors = map[error]history.Code{
	raft.ErrNotLeader:                    history.NotLeader,
	raft.ErrEnqueueTimeout:               history.NotReady,
	raft.ErrLeadershipTransferInProgress: history.NotReady,

	raft.ErrLeadershipLost:   history.LeadershipLost,
	raft.ErrRaftShutdown:     history.Shutdown,
	raft.ErrAbortedByRestore: history.LeadershipLost,
	context.DeadlineExceeded: history.Timeout,
	context.Canceled:         history.Timeout,
}

func raftError(err error) error {
	for known, code := range raftErrors {
		if errors.Is(err, known) {
			return nodes.Errorf(code, "rpc error: %v", err)
		}
	}
	return nodes.Errorf(history.Unknown, "rpc error: %v", err)
}

// writeUnsafely is the defect ack-before-commit.
func (s *server) writeUnsafely(command []byte) (writeReply, error) {
	c, err := kv.ParseCommand(command)
	if err != nil {
		return writeReply{}, nodes.Errorf(history.BadRequest, "%v", err)
	}
	if c, done := s.compareHere(c); done != nil {
		return *done, nil
	} else {
		command = c.Append(nil)
	}
	s.raft.Apply(command, time.Second)
	return writeReply{OK: true}, nil
}

// checkCASHere is the defect cas-checked-by-follower, at the first server that receives a write.
func (s *server) checkCASHere(args writeArgs) (writeArgs, *writeReply) {
	if !s.a.defects[CASCheckedByFollower] {
		return args, nil
	}
	c, err := kv.ParseCommand(args.Command)
	if err != nil {
		return args, nil // the leader refuses it
	}
	c, done := s.compareHere(c)
	return writeArgs{Command: c.Append(nil)}, done
}

// compareHere checks a compare-and-set against this server's copy: it is done if the
// compare fails, and a plain write if not.
func (s *server) compareHere(c kv.Command) (kv.Command, *writeReply) {
	plain := map[kv.Op]kv.Op{kv.CAS: kv.Put, kv.DeleteCAS: kv.Delete}
	if plain[c.Op] == 0 {
		return c, nil
	}
	var current kv.Entry
	view := s.store.Query(kv.Query{Kind: kv.Get, Key: c.Key})
	if len(view.Entries) > 0 {
		current = view.Entries[0]
	}
	if current.ModifyIndex != c.Index {
		return c, &writeReply{Index: s.store.Applied(), Found: len(view.Entries) > 0, Current: current}
	}
	c.Op = plain[c.Op]
	return c, nil
}
