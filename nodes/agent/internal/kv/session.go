package kv

import (
	"encoding/json"
	"fmt"
	"time"

	iradix "github.com/hashicorp/go-immutable-radix/v2"
)

// Session is what may hold locks on keys, as Consul's. The store knows nothing of time: that
// a session has run out is for the leader to find, and to say by SessionDestroy.
type Session struct {
	ID          string
	Name        string        `json:",omitempty"`
	Node        string        `json:",omitempty"` // that it belongs to
	Checked     bool          `json:",omitempty"` // it ends with the health of its node
	TTL         time.Duration `json:",omitempty"` // it lives at least so long after it was made or renewed; 0: forever
	LockDelay   time.Duration `json:",omitempty"` // after it has run out, nobody acquires its keys for so long
	Delete      bool          `json:",omitempty"` // its keys are deleted with it; otherwise they are released
	CreateIndex uint64        `json:",omitempty"` // given by the store
}

// SessionCommand makes a session; its CreateIndex is not used.
func SessionCommand(s Session) (Command, error) {
	text, err := json.Marshal(s)
	return Command{Op: SessionCreate, Key: s.ID, Value: text}, err
}

// Sessions lists all of them, by ID, and the index of the last change of any.
func (s *Store) Sessions() (all []Session, index uint64) {
	now := s.current.Load()
	now.sessions.Root().Walk(func(_ []byte, one Session) bool {
		all = append(all, one)
		return false
	})
	return all, now.sessionIndex
}

// Session finds one.
func (s *Store) Session(id string) (Session, bool) {
	return s.current.Load().sessions.Get([]byte(id))
}

func (s *state) createSession(c Command, index uint64) error {
	var made Session
	if err := json.Unmarshal(c.Value, &made); err != nil {
		return fmt.Errorf("kv: a session: %w", err)
	}
	if made.ID == "" || made.ID != c.Key {
		return fmt.Errorf("kv: a session with ID %q, called %q", made.ID, c.Key)
	}
	if _, exists := s.sessions.Get([]byte(made.ID)); exists {
		return fmt.Errorf("kv: session %q exists", made.ID)
	}
	made.CreateIndex = index
	s.sessions, _, _ = s.sessions.Insert([]byte(made.ID), made)
	s.sessionIndex = index
	return nil
}

// destroySession ends a session, and with it its locks. It returns the keys that it held.
func (s *state) destroySession(txn *iradix.Txn[Entry], id string, index uint64, planted Defects) (ended Session, held []string) {
	sessions, v, existed := s.sessions.Delete([]byte(id))
	if !existed {
		return Session{}, nil
	}
	s.sessions, s.sessionIndex, ended = sessions, index, v
	txn.Root().Walk(func(key []byte, e Entry) bool {
		if e.Session == id {
			held = append(held, string(key))
		}
		return false
	})
	if planted.EndFreesOneKey {
		held = held[:min(len(held), 1)]
	}
	for _, key := range held {
		if ended.Delete && !planted.DeleteReleases {
			s.delete(txn, key, index)
			continue
		}
		e, _ := get(txn, key)
		e.Session, e.ModifyIndex = "", index
		txn.Insert([]byte(key), e)
		s.index = index
	}
	return ended, held
}

// acquire locks a key for a session, and writes it. To acquire what one holds is a write.
func (s *state) acquire(txn *iradix.Txn[Entry], c Command, was Entry, index uint64) (ok bool, err error) {
	if _, exists := s.sessions.Get([]byte(c.Session)); !exists {
		return false, fmt.Errorf("invalid session %q", c.Session)
	}
	if was.Session != "" && was.Session != c.Session {
		return false, nil
	}
	if was.Session == "" {
		was.LockIndex++
	}
	was.Session = c.Session
	s.put(txn, c, was, index)
	return true, nil
}

// release unlocks a key that a session holds, and writes it.
func (s *state) release(txn *iradix.Txn[Entry], c Command, was Entry, index uint64, planted Defects) (ok bool) {
	if was.Session == "" || was.Session != c.Session && !planted.ReleaseByAnyone {
		return false
	}
	was.Session = ""
	s.put(txn, c, was, index)
	return true
}

// OnEnd sets a callback for every session that ends, with the keys that it held, called when
// this copy of the store applies the end: it serves to enforce lock delays. It must be
// set before Raft has the store, and the callback may not call the store.
func (s *Store) OnEnd(notify func(ended Session, held []string)) { s.onEnd = notify }
