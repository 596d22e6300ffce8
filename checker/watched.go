package checker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"faultline/workloads/history"
)

// watchView is an answer with the state of a key, and the index to which it is that state.
type watchView struct {
	op      *history.Operation
	present bool
	value   int64
	modify  uint64 // 0 if absent
	next    uint64 // 0 of a plain read, which tells none
	since   uint64 // of a watch
	wait    time.Duration
}

// keyChange is a change that certainly happened: a write that was acknowledged or seen, or a deletion
// that was acknowledged. A deletion of a key that is absent changes nothing, and is one all the same: the
// key is absent at its index.
type keyChange struct {
	op      *history.Operation // that was told so
	index   uint64
	deletes bool
}

// watchedKey is what became of one key.
type watchedKey struct {
	name    string
	ops     int
	stale   bool                         // answers may be
	writers map[int64]*history.Operation // of all keys, by value
	views   []watchView
	changes []keyChange      // by index
	indexes map[int64]uint64 // under which values were seen
	// deletion is when the first deletion was asked for whose index nobody knows; Pending if none was.
	deletion int64
	foreign  string // what shows that somebody else wrote there
}

// readWatches takes the operations apart, by key.
func readWatches(run *Run) (map[string]*watchedKey, error) {
	keys := map[string]*watchedKey{}
	writers := map[int64]*history.Operation{}
	for i := range run.Ops {
		op := &run.Ops[i]
		value, writes, err := writtenBy(op)
		if err != nil {
			return nil, err
		}
		if other := writers[value]; writes && other != nil {
			return nil, fmt.Errorf("operations %d and %d both write %d", other.ID, op.ID, value)
		}
		if writes {
			writers[value] = op
		}
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		k := keys[op.Key]
		if k == nil {
			k = &watchedKey{name: op.Key, stale: run.Settings.Mode == history.ModeStale, writers: writers,
				indexes: map[int64]uint64{}, deletion: history.Pending}
			keys[op.Key] = k
		}
		k.ops++
		if err := k.read(op); err != nil {
			return nil, err
		}
	}
	for _, k := range keys {
		k.collect()
	}
	for value, op := range writers {
		if op.Type == history.OK {
			keys[op.Key].wrote(value, op)
		}
	}
	for _, k := range keys {
		slices.SortStableFunc(k.changes, func(a, b keyChange) int {
			return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.op.Return, b.op.Return))
		})
	}
	return keys, nil
}

// writtenBy is the value that an operation writes, if it writes any.
func writtenBy(op *history.Operation) (value int64, writes bool, err error) {
	switch op.F {
	case history.OpWrite:
		n, err := history.AsInt(op.Input)
		if err != nil || n == nil {
			return 0, false, fmt.Errorf("operation %d writes %s, which is no integer", op.ID, excerpt(op.Input))
		}
		return *n, true, nil
	case history.OpCAS:
		_, n, err := history.AsPair(op.Input)
		if err != nil {
			return 0, false, fmt.Errorf("operation %d: %s is not the [old,new] of a cas", op.ID, excerpt(op.Input))
		}
		return n, true, nil
	case history.OpRead, history.OpWatch, history.OpDelete:
		return 0, false, nil
	}
	return 0, false, fmt.Errorf("operation %d: watched keys have no %q", op.ID, op.F)
}

// read takes in a deletion, or the answer to a read or a watch.
func (k *watchedKey) read(op *history.Operation) error {
	switch {
	case op.F == history.OpDelete && op.Type == history.OK && op.ModifyIndex > 0:
		k.changes = append(k.changes, keyChange{op, op.ModifyIndex, true})
	case op.F == history.OpDelete && op.Type != history.Fail:
		k.deletion = min(k.deletion, op.Invoke)
	case op.F == history.OpRead && op.Type == history.OK:
		k.saw(watchView{op: op, modify: op.ModifyIndex}, op.Output)
	case op.F == history.OpWatch:
		var asked history.WatchArgument
		if err := json.Unmarshal(op.Input, &asked); err != nil {
			return fmt.Errorf("operation %d: %s is not what a watch asks for", op.ID, excerpt(op.Input))
		}
		if op.Type != history.OK {
			return nil
		}
		var saw history.WatchResult
		if err := json.Unmarshal(op.Output, &saw); err != nil {
			saw.Value = op.Output // a text, which no client of the workload writes
		}
		k.saw(watchView{op: op, modify: saw.ModifyIndex, next: saw.Next, since: asked.Since,
			wait: time.Duration(asked.WaitMS) * time.Millisecond}, saw.Value)
	}
	return nil
}

func (k *watchedKey) saw(v watchView, value json.RawMessage) {
	n, err := history.AsInt(value)
	if err != nil || n != nil && k.writers[*n] == nil {
		if k.foreign == "" {
			k.foreign = fmt.Sprintf("somebody else wrote here: at %s a %s of %s found %s, which no client of this run asked to write",
				clock(v.op.Return), v.op.F, v.op.Node, excerpt(value))
		}
		return
	}
	if n == nil {
		v.modify = 0
	} else {
		v.present, v.value = true, *n
	}
	k.views = append(k.views, v)
}

// collect adds the changes that answers show.
func (k *watchedKey) collect() {
	for _, v := range k.views {
		if v.present && v.modify > 0 {
			k.changes = append(k.changes, keyChange{v.op, v.modify, false})
			k.indexes[v.value] = v.modify
		}
	}
}

// wrote adds a write that was acknowledged. Where the system does not tell its index, that is the one
// under which its value was seen, if it was.
func (k *watchedKey) wrote(value int64, op *history.Operation) {
	if index := cmp.Or(op.ModifyIndex, k.indexes[value]); index > 0 {
		k.changes = append(k.changes, keyChange{op, index, false})
	}
}
