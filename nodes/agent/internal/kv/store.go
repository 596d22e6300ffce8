// Package kv is the replicated state of the agent: a key-value store with Consul's
// indexes, as a state machine of hashicorp/raft.
//
//	store := kv.NewStore()
//	raft.NewRaft(config, store, …)
//	view := store.Query(kv.Query{Kind: kv.Get, Key: "a"})
//	<-view.Changed // the answer may be another now
//
// A state is an immutable radix tree, so a read and a snapshot are the load of one
// pointer and never wait for writers.
//
// It is not for deciding whether this copy is fresh enough to be read; see package agent.
package kv

import (
	"context"
	"fmt"
	"sync/atomic"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
	"github.com/hashicorp/raft"
)

// Entry is one key. Its indexes are the Raft indexes of the entries that made it and
// changed it last.
type Entry struct {
	Key         string
	Value       []byte
	Flags       uint64
	CreateIndex uint64
	ModifyIndex uint64
	LockIndex   uint64 // how often the key has been locked: a fencing token
	Session     string // that holds it; "" if nobody does
}

// Result is the outcome of a Command.
type Result struct {
	OK    bool   // false: a compare failed, and nothing changed
	Index uint64 // the Raft index of the command
	// Found and Current are the key as a failed compare met it.
	Found   bool
	Current Entry
	// Err is why the command could not be understood. All servers reach the same.
	Err string
	// NoSession reports that Err is about the session of an Acquire, which does not exist.
	NoSession bool
}

// state is one version of the store. It never changes.
type state struct {
	tree         *iradix.Tree[Entry]
	sessions     *iradix.Tree[Session] // by ID
	sessionIndex uint64                // of the last command that changed a session
	index        uint64                // of the last command that changed a key
	deleted      uint64                // of the last command that deleted a key
	applied      uint64                // of the last entry

	superseded chan struct{} // closed when a newer state is current
	abandoned  chan struct{} // closed when a snapshot replaces the tree: its watches are void
}

// Store is the state machine. Reads may come from any goroutine; Raft makes the rest of
// the calls one by one.
type Store struct {
	current atomic.Pointer[state]
	onEnd   func(Session, []string) // may be nil
	defects Defects
	buried  []Entry // for the defect that keeps what was deleted
}

var _ raft.BatchingFSM = (*Store)(nil)

// NewStore is an empty store.
func NewStore() *Store {
	s := &Store{}
	s.current.Store(&state{tree: iradix.New[Entry](), sessions: iradix.New[Session](), superseded: make(chan struct{}), abandoned: make(chan struct{})})
	return s
}

// Applied is the index of the last entry whose effect reads can see. Unlike Raft's own
// AppliedIndex, which runs ahead when entries are queued for the state machine.
func (s *Store) Applied() uint64 { return s.current.Load().applied }

// WaitApplied waits until the effect of the entry at index can be read.
func (s *Store) WaitApplied(ctx context.Context, index uint64) error {
	for {
		now := s.current.Load()
		if now.applied >= index {
			return nil
		}
		select {
		case <-now.superseded:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Apply is for Raft.
func (s *Store) Apply(entry *raft.Log) any { return s.ApplyBatch([]*raft.Log{entry})[0] }

// ApplyBatch is for Raft. Readers see all of a batch or nothing of it.
func (s *Store) ApplyBatch(entries []*raft.Log) []any {
	old := s.current.Load()
	next := &state{index: old.index, deleted: old.deleted, applied: old.applied,
		sessions: old.sessions, sessionIndex: old.sessionIndex,
		superseded: make(chan struct{}), abandoned: old.abandoned}
	txn := old.tree.Txn()
	txn.TrackMutate(true)
	results := make([]any, len(entries))
	for i, entry := range entries {
		if entry.Type == raft.LogCommand {
			results[i] = s.apply(next, txn, entry)
		}
		next.applied = entry.Index
	}
	next.tree = txn.CommitOnly()
	s.current.Store(next)
	txn.Notify()
	close(old.superseded)
	return results
}

func (store *Store) apply(s *state, txn *iradix.Txn[Entry], entry *raft.Log) Result {
	c, err := ParseCommand(entry.Data)
	if err != nil {
		return Result{Index: entry.Index, Err: err.Error()}
	}
	done := Result{OK: true, Index: entry.Index}
	if skips := store.defects.Skips; skips != nil && skips(entry.Index) {
		return done
	}
	was, found := get(txn, c.Key)
	mismatch := Result{Index: entry.Index, Found: found, Current: was}
	store.bury(txn, c)
	switch c.Op {
	case CAS:
		if was.ModifyIndex != c.Index {
			return mismatch
		}
		s.put(txn, c, was, entry.Index)
	case Put:
		s.put(txn, c, was, entry.Index)
	case Append:
		if c.Value, err = appended(was.Value, c.Value); err != nil {
			return Result{Index: entry.Index, Err: err.Error()}
		}
		c.Flags = was.Flags
		s.put(txn, c, was, entry.Index)
	case DeleteCAS:
		if found && was.ModifyIndex != c.Index {
			return mismatch
		}
		s.delete(txn, c.Key, entry.Index)
	case Delete:
		s.delete(txn, c.Key, entry.Index)
	case DeleteTree:
		s.deleteTree(txn, c.Key, entry.Index)
	case SessionCreate:
		if err := s.createSession(c, entry.Index); err != nil {
			return Result{Index: entry.Index, Err: err.Error()}
		}
	case SessionDestroy:
		ended, held := s.destroySession(txn, c.Key, entry.Index, store.defects)
		if ended.ID != "" && store.onEnd != nil {
			store.onEnd(ended, held)
		}
	case Acquire:
		ok, err := s.acquire(txn, c, was, entry.Index)
		if err != nil {
			return Result{Index: entry.Index, Err: err.Error(), NoSession: true}
		}
		if !ok {
			return mismatch
		}
	case Release:
		if !s.release(txn, c, was, entry.Index, store.defects) {
			return mismatch
		}
	case Barrier:
	default:
		return Result{Index: entry.Index, Err: fmt.Sprintf("kv: unknown operation %d", c.Op)}
	}
	return done
}

func (s *state) put(txn *iradix.Txn[Entry], c Command, was Entry, index uint64) {
	e := Entry{Key: c.Key, Value: c.Value, Flags: c.Flags, CreateIndex: was.CreateIndex, ModifyIndex: index, LockIndex: was.LockIndex,
		Session: was.Session}
	if e.CreateIndex == 0 {
		e.CreateIndex = index
	}
	txn.Insert([]byte(c.Key), e)
	s.index = index
}

func (s *state) delete(txn *iradix.Txn[Entry], key string, index uint64) {
	if _, existed := txn.Delete([]byte(key)); existed {
		s.index, s.deleted = index, index
	}
}

// deleteTree deletes key by key: Txn.DeletePrefix neither counts nor notifies below a node that the same transaction
// has changed (hashicorp/go-immutable-radix#107, v2.1.0), so a snapshot said that it had more entries than it had.
func (s *state) deleteTree(txn *iradix.Txn[Entry], prefix string, index uint64) {
	var keys []string
	txn.Root().WalkPrefix([]byte(prefix), func(key []byte, _ Entry) bool {
		keys = append(keys, string(key))
		return false
	})
	for _, key := range keys {
		s.delete(txn, key, index)
	}
}

func get(txn *iradix.Txn[Entry], key string) (Entry, bool) {
	return txn.Get([]byte(key))
}
