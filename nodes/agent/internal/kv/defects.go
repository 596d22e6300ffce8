package kv

import (
	"hash/fnv"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Defects are bugs that can be planted in a Store. The zero value is a store without any.
type Defects struct {
	SnapshotDropsKey     bool // a snapshot leaves out the keys of one part in four
	SnapshotKeepsDeleted bool // a snapshot still has the keys that were deleted
	RestoreResetsIndex   bool // a restore numbers the modify indexes anew, from 1

	ReleaseByAnyone       bool // any session releases a lock, whoever holds it
	EndFreesOneKey        bool // a session that ends frees the first of its keys, and no other
	DeleteReleases        bool // a session that ends releases keys that it should delete
	SnapshotDropsSessions bool // a snapshot leaves out all sessions, and keeps their locks
	// Skips reports whether the entry at an index is left out when the log is applied; nil: none is.
	Skips func(index uint64) bool
}

// Plant makes the store have these defects, from now on. It is
// called before Raft has the store.
func (s *Store) Plant(d Defects) { s.defects = d }

// dropped is a state without the keys that a snapshot forgets, always the same ones.
func (s *state) dropped() *state {
	txn := s.tree.Txn()
	s.tree.Root().Walk(func(key []byte, _ Entry) bool {
		h := fnv.New32a()
		_, _ = h.Write(key) // never fails
		if h.Sum32()%4 == 0 {
			txn.Delete(key)
		}
		return false
	})
	less := *s
	less.tree = txn.Commit()
	return &less
}

// sessionless is a state without the sessions, whose locks stay.
func (s *state) sessionless() *state {
	less := *s
	less.sessions = iradix.New[Session]()
	return &less
}

// bury keeps what a command is about to delete. Snapshots are taken by the same goroutine.
func (s *Store) bury(txn *iradix.Txn[Entry], c Command) {
	if !s.defects.SnapshotKeepsDeleted || c.Op != Delete && c.Op != DeleteCAS && c.Op != DeleteTree {
		return
	}
	txn.Root().WalkPrefix([]byte(c.Key), func(key []byte, e Entry) bool {
		if c.Op == DeleteTree || string(key) == c.Key {
			s.buried = append(s.buried, e)
		}
		return false
	})
}

// unburied is a state with the keys that were deleted and not made again.
func (s *state) unburied(buried []Entry) *state {
	txn := s.tree.Txn()
	for _, e := range buried {
		if _, there := s.tree.Get([]byte(e.Key)); !there {
			txn.Insert([]byte(e.Key), e)
		}
	}
	more := *s
	more.tree = txn.Commit()
	return &more
}

// renumbered has the keys changed one after the other in their order, since index 0.
func renumbered(tree *iradix.Tree[Entry]) (*iradix.Tree[Entry], uint64) {
	txn := tree.Txn()
	var index uint64
	tree.Root().Walk(func(key []byte, e Entry) bool {
		index++
		e.CreateIndex, e.ModifyIndex = index, index
		txn.Insert(key, e)
		return false
	})
	return txn.Commit(), index
}
