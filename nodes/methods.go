package nodes

import (
	"context"
	"time"

	"faultline/workloads/history"
)

// Operations are easier to write, and to call, as methods. [Dispatch] makes a Conn's Do of
// what has the interfaces below, and [Methods] makes methods of a Conn's Do.

// KeyValue has the operations on keys.
type KeyValue interface {
	// Get reads a key. A key that is absent is not an error.
	Get(ctx context.Context, key string, mode history.Mode) (Answer, error)
	// Put writes a key.
	Put(ctx context.Context, key, value string) (Answer, error)
	// CAS writes a key if its modify index is still index; 0 means "if it is absent". A
	// compare that fails is an *Error with the code CASMismatch, beside an Answer that
	// holds what was there, if the node disclosed it.
	CAS(ctx context.Context, key, value string, index uint64) (Answer, error)
}

// Locks has the operations on sessions and locks.
type Locks interface {
	// CreateSession makes a session that ends, at the earliest, when its TTL has passed since it
	// was made or last renewed; locks that it holds then cannot be acquired for lockDelay, and are
	// deleted with it if deletesKeys.
	CreateSession(ctx context.Context, ttl, lockDelay time.Duration, deletesKeys bool) (id string, err error)
	// RenewSession gives a session its full TTL again; NoSession if it has ended.
	RenewSession(ctx context.Context, id string) error
	// DestroySession ends a session, and releases its locks.
	DestroySession(ctx context.Context, id string) error
	// Acquire writes a key and locks it for a session; LockHeld if another's, NoSession if
	// the session has ended. The answer's index rises with every acquire: a fencing token.
	Acquire(ctx context.Context, key, value, session string) (Answer, error)
	// Release writes a key and unlocks it; LockHeld if the session does not hold it.
	Release(ctx context.Context, key, value, session string) (Answer, error)
}

// Trees has the operations that delete and list keys.
type Trees interface {
	// Delete deletes a key. One that is absent is deleted already.
	Delete(ctx context.Context, key string) (Answer, error)
	// DeleteCAS deletes a key if its modify index is index; else it is a CASMismatch, as of CAS.
	DeleteCAS(ctx context.Context, key string, index uint64) (Answer, error)
	// DeleteTree deletes every key that begins with prefix, at once.
	DeleteTree(ctx context.Context, prefix string) (Answer, error)
	// List reads every key that begins with prefix, as they were at one time.
	List(ctx context.Context, prefix string, mode history.Mode) (Answer, error)
}

// Appends has the operation on lists that takes effect once more with every try.
type Appends interface {
	// Append makes value, a JSON value, the last element of the list that the key holds; an
	// absent key holds an empty one. The answer has the key's modify index and the element.
	Append(ctx context.Context, key, value string) (Answer, error)
}

// Watches has the operation that waits.
type Watches interface {
	// Watch reads a key once it has changed since an earlier answer, or after a time.
	Watch(ctx context.Context, key string, since uint64, wait time.Duration, mode history.Mode) (Answer, error)
}

// Dispatch does an operation by the methods of node, which has some of the interfaces above.
func Dispatch(ctx context.Context, node any, op Op) (a Answer, err error) {
	if kv, ok := node.(KeyValue); ok {
		switch op.F {
		case history.OpRead:
			return kv.Get(ctx, op.Key, op.Mode)
		case history.OpWrite:
			return kv.Put(ctx, op.Key, op.Value)
		case history.OpCAS:
			if op.Index == 0 && op.Old != "" {
				return a, Errorf(history.BadRequest, "a compare of values, and clients of this system compare modify indexes")
			}
			return kv.CAS(ctx, op.Key, op.Value, op.Index)
		}
	}
	if trees, ok := node.(Trees); ok {
		switch op.F {
		case history.OpDelete:
			return trees.Delete(ctx, op.Key)
		case history.OpDeleteCAS:
			return trees.DeleteCAS(ctx, op.Key, op.Index)
		case history.OpDeleteTree:
			return trees.DeleteTree(ctx, op.Key)
		case history.OpList:
			return trees.List(ctx, op.Key, op.Mode)
		}
	}
	if appends, ok := node.(Appends); ok && op.F == history.OpAppend {
		return appends.Append(ctx, op.Key, op.Value)
	}
	if watches, ok := node.(Watches); ok && op.F == history.OpWatch {
		return watches.Watch(ctx, op.Key, op.Since, op.Wait, op.Mode)
	}
	if locks, ok := node.(Locks); ok {
		switch op.F {
		case history.OpCreate:
			a.Value, err = locks.CreateSession(ctx, op.TTL, op.LockDelay, op.DeletesKeys)
			return a, err
		case history.OpRenew:
			return a, locks.RenewSession(ctx, op.Session)
		case history.OpDestroy:
			return a, locks.DestroySession(ctx, op.Session)
		case history.OpAcquire:
			return locks.Acquire(ctx, op.Key, op.Value, op.Session)
		case history.OpRelease:
			return locks.Release(ctx, op.Key, op.Value, op.Session)
		}
	}
	return a, Errorf(history.BadRequest, "clients of this system cannot do %q", op.F)
}

// Methods are a Conn's operations as methods. It has all of the interfaces above.
type Methods struct{ Conn }

func (m Methods) Get(ctx context.Context, key string, mode history.Mode) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpRead, Key: key, Mode: mode})
}

func (m Methods) Put(ctx context.Context, key, value string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpWrite, Key: key, Value: value})
}

func (m Methods) CAS(ctx context.Context, key, value string, index uint64) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpCAS, Key: key, Value: value, Index: index})
}

func (m Methods) CreateSession(ctx context.Context, ttl, lockDelay time.Duration, deletesKeys bool) (id string, err error) {
	a, err := m.Do(ctx, Op{F: history.OpCreate, TTL: ttl, LockDelay: lockDelay, DeletesKeys: deletesKeys})
	return a.Value, err
}

func (m Methods) RenewSession(ctx context.Context, id string) error {
	_, err := m.Do(ctx, Op{F: history.OpRenew, Session: id})
	return err
}

func (m Methods) DestroySession(ctx context.Context, id string) error {
	_, err := m.Do(ctx, Op{F: history.OpDestroy, Session: id})
	return err
}

func (m Methods) Acquire(ctx context.Context, key, value, session string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpAcquire, Key: key, Value: value, Session: session})
}

func (m Methods) Release(ctx context.Context, key, value, session string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpRelease, Key: key, Value: value, Session: session})
}

func (m Methods) Delete(ctx context.Context, key string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpDelete, Key: key})
}

func (m Methods) DeleteCAS(ctx context.Context, key string, index uint64) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpDeleteCAS, Key: key, Index: index})
}

func (m Methods) DeleteTree(ctx context.Context, prefix string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpDeleteTree, Key: prefix})
}

func (m Methods) List(ctx context.Context, prefix string, mode history.Mode) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpList, Key: prefix, Mode: mode})
}

func (m Methods) Append(ctx context.Context, key, value string) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpAppend, Key: key, Value: value})
}

func (m Methods) Watch(ctx context.Context, key string, since uint64, wait time.Duration, mode history.Mode) (Answer, error) {
	return m.Do(ctx, Op{F: history.OpWatch, Key: key, Since: since, Wait: wait, Mode: mode})
}
