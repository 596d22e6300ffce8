package checker

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"faultline/topologies"
	"faultline/workloads/history"
)

// treeHistory is a history of keys that are listed, taken apart.
type treeHistory struct {
	changes  []*treeChange            // that may have happened
	sights   []*treeSight             // that can be judged
	listings int                      // of the sights
	writers  map[string]*treeChange   // of values that are not empty, those included that certainly failed
	trees    map[string][]*treeChange // deletions of all keys with a prefix, by the prefix
	keys     map[string]*treeKey
	names    []string // of the keys, sorted
	versions int
	about    map[string]int // operations by their key
	told     toldOrder
	problems []treeProblem

	spans    map[string][]treeSpan   // by prefix, see blocked
	seen     map[string][]presence   // by prefix, see present
	sightsAt map[string][]*treeSight // by the key of their operation
	asked    []string                // the keys of sightsAt, sorted
}

// treeChange is an operation that writes or deletes.
type treeChange struct {
	op       *history.Operation
	value    string // that it writes
	deletes  bool
	compares bool
	compared uint64 // modify index that it compares with; 0: the key must be absent
	at       uint64 // index at which it took effect; 0: not known
}

func (c *treeChange) tree() bool { return c.op.F == history.OpDeleteTree }

// treeSight is what an answer shows of one key, or of all keys with a prefix.
type treeSight struct {
	op      *history.Operation
	entries []history.Entry // sorted by key
	next    uint64          // index of a listing
	fresh   bool            // it may not be older than what was answered before it was asked for
	server  string          // who gave a stale answer, and in which life; empty if that is not known
}

func (s *treeSight) lists() bool { return s.op.F == history.OpList }

func readTree(run *Run) (*treeHistory, error) {
	h := &treeHistory{writers: map[string]*treeChange{}, trees: map[string][]*treeChange{}, keys: map[string]*treeKey{},
		about: map[string]int{}, spans: map[string][]treeSpan{}, seen: map[string][]presence{}, sightsAt: map[string][]*treeSight{}}
	l, err := livesOf(run)
	if err != nil {
		return nil, err
	}
	for i := range run.Ops {
		op := &run.Ops[i]
		h.about[op.Key]++
		if op.F.Reads() {
			err = h.readSight(op, run, l)
		} else {
			err = h.readChange(op)
		}
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", op.ID, err)
		}
	}
	return h, nil
}

// readChange takes a write or a deletion apart, and what a refused condition found.
func (h *treeHistory) readChange(op *history.Operation) (err error) {
	c := &treeChange{op: op}
	var was *history.Entry
	switch op.F {
	case history.OpWrite:
		err = json.Unmarshal(op.Input, &c.value)
	case history.OpCAS:
		c.compares = true
		err = json.Unmarshal(op.Input, &[2]any{&was, &c.value})
	case history.OpDeleteCAS:
		c.compares, c.deletes = true, true
		err = json.Unmarshal(op.Input, &was)
	case history.OpDelete, history.OpDeleteTree:
		c.deletes = true
	default:
		return fmt.Errorf("a tree has no %q", op.F)
	}
	if err != nil {
		return fmt.Errorf("%s is no argument of a %s: %w", excerpt(op.Input), op.F, err)
	}
	if was != nil {
		c.compared = was.ModifyIndex
	}
	if !c.deletes && c.value != "" {
		if other := h.writers[c.value]; other != nil {
			return fmt.Errorf("operation %d wrote %q as well", other.op.ID, c.value)
		}
		h.writers[c.value] = c
	}
	if op.Type == history.Fail {
		return h.refused(c)
	}
	if op.Type == history.OK {
		c.at = op.ModifyIndex
	}
	h.changes = append(h.changes, c)
	if c.tree() {
		h.trees[op.Key] = append(h.trees[op.Key], c)
	} else {
		h.key(op.Key)
	}
	return nil
}

// refused takes what a condition found that did not hold. The refusal went through the store's log, so it is fresh.
func (h *treeHistory) refused(c *treeChange) error {
	if c.op.Error != history.CASMismatch || len(c.op.Current) == 0 {
		return nil
	}
	found, err := entryOf(c.op, c.op.Current)
	if err != nil {
		return err
	}
	index := uint64(0)
	if len(found) > 0 {
		index = found[0].ModifyIndex
	}
	if index == c.compared && c.op.Return != history.Pending {
		h.problem(c.op.Key, fmt.Sprintf("the %s of %s at %s was refused, and what it found had just the index that it asked for, %d",
			c.op.F, c.op.Node, clock(c.op.Return), index), c.op)
	}
	h.sights = append(h.sights, &treeSight{op: c.op, entries: found, fresh: true})
	h.key(c.op.Key)
	return nil
}

// entryOf reads the recorded entry of an operation's key; none if it is absent.
func entryOf(op *history.Operation, value json.RawMessage) ([]history.Entry, error) {
	var e *history.Entry
	if err := json.Unmarshal(value, &e); err != nil {
		return nil, fmt.Errorf("%s is no entry: %w", excerpt(value), err)
	}
	if e == nil {
		return nil, nil
	}
	e.Key = op.Key
	return []history.Entry{*e}, whole(*e)
}

func whole(e history.Entry) error {
	if e.ModifyIndex == 0 {
		return fmt.Errorf("an entry of %q without a modify index", e.Key)
	}
	return nil
}

func (h *treeHistory) readSight(op *history.Operation, run *Run, l lives) (err error) {
	if op.F != history.OpRead && op.F != history.OpList {
		return fmt.Errorf("a tree has no %q", op.F)
	}
	if op.Type != history.OK {
		return nil
	}
	s := &treeSight{op: op, fresh: !mayBeStale(op.Mode)}
	if !s.lists() {
		s.entries, err = entryOf(op, op.Output)
		h.key(op.Key)
	} else {
		var list history.Listing
		if err = json.Unmarshal(op.Output, &list); err != nil {
			err = fmt.Errorf("%s is no listing: %w", excerpt(op.Output), err)
		}
		s.entries, s.next = list.Entries, list.Next
		h.listings++
	}
	if err != nil {
		return err
	}
	if !s.fresh {
		s.server = answeredBy(op, run.Topology, l)
	}
	if h.malformed(s) {
		return nil
	}
	for _, e := range s.entries {
		if err := whole(e); err != nil {
			return err
		}
		h.key(e.Key)
	}
	h.sights = append(h.sights, s)
	return nil
}

// staleModes are those whose answers may be old: Consul's, and etcd's.
var staleModes = []history.Mode{history.ModeStale, "serializable"}

func mayBeStale(m history.Mode) bool { return slices.Contains(staleModes, m) }

// answeredBy names the server that answered from its own copy, and its life. A server that is asked answers itself; of
// a client agent only its hops say whom it asked.
func answeredBy(op *history.Operation, t topologies.Topology, l lives) string {
	node := op.Node
	if n := len(op.Hops); n > 0 {
		node = op.Hops[n-1].Node
	} else if of, known := t.Node(node); known && of.Role == topologies.Client {
		return ""
	}
	asked, sure := l.at(node, op.Invoke)
	answered, still := l.at(node, op.Return)
	if !sure || !still || asked != answered {
		return ""
	}
	return node + ", " + asked
}

// malformed reports whether an answer is wrong by itself.
func (h *treeHistory) malformed(s *treeSight) bool {
	bad := func(format string, args ...any) bool {
		h.problem(s.op.Key, describeSight(s)+" "+fmt.Sprintf(format, args...), s.op)
		return true
	}
	for i, e := range s.entries {
		switch {
		case !strings.HasPrefix(e.Key, s.op.Key):
			return bad("has %q, which does not begin with %q", e.Key, s.op.Key)
		case i > 0 && e.Key == s.entries[i-1].Key:
			return bad("has %q twice", e.Key)
		case i > 0 && e.Key < s.entries[i-1].Key:
			return bad("has %q after %q: it is not sorted", e.Key, s.entries[i-1].Key)
		case e.CreateIndex > e.ModifyIndex:
			return bad("says that %q was made at index %d and changed last at %d", e.Key, e.CreateIndex, e.ModifyIndex)
		case s.next > 0 && e.ModifyIndex > s.next:
			return bad("has %q, changed at index %d, and its own index is %d", e.Key, e.ModifyIndex, s.next)
		}
	}
	return false
}

func describeSight(s *treeSight) string {
	return fmt.Sprintf("the answer of %s to a %s at %s", s.op.Node, s.op.F, clock(s.op.Return))
}

func (h *treeHistory) key(name string) *treeKey {
	k := h.keys[name]
	if k == nil {
		k = &treeKey{name: name, byIndex: map[uint64]*treeVersion{}}
		h.keys[name] = k
	}
	return k
}

// under returns the keys that begin with a prefix, sorted.
func (h *treeHistory) under(prefix string) []string {
	from, _ := slices.BinarySearch(h.names, prefix)
	to := from
	for to < len(h.names) && strings.HasPrefix(h.names[to], prefix) {
		to++
	}
	return h.names[from:to]
}

// toldOrder is the order that indexes give to changes, by the time of their requests and answers.
type toldOrder struct {
	answered, asked []toldIndex
}

type toldIndex struct {
	time int64
	at   uint64 // answered: the highest so far; asked: what all from here on are not below
	by   *treeChange
}

// toldOf is the order of the changes whose index is known.
func toldOf(changes []*treeChange) (o toldOrder) {
	for _, c := range changes {
		if c.at == 0 {
			continue
		}
		if c.op.Return != history.Pending {
			o.answered = append(o.answered, toldIndex{c.op.Return, c.at, c})
		}
		bound := c.at
		if c.deletes {
			bound++ // a deletion of nothing may have the index of the change before it, as etcd's do
		}
		o.asked = append(o.asked, toldIndex{c.op.Invoke, bound, c})
	}
	byTime := func(a, b toldIndex) int { return cmp.Compare(a.time, b.time) }
	slices.SortFunc(o.answered, byTime)
	slices.SortFunc(o.asked, byTime)
	for i := 1; i < len(o.answered); i++ {
		if before := o.answered[i-1]; before.at > o.answered[i].at {
			o.answered[i].at, o.answered[i].by = before.at, before.by
		}
	}
	for i := len(o.asked) - 2; i >= 0; i-- {
		if after := o.asked[i+1]; after.at < o.asked[i].at {
			o.asked[i].at, o.asked[i].by = after.at, after.by
		}
	}
	return o
}

// before is the highest index of a change that was answered before a time; 0 if there is none.
func (o toldOrder) before(t int64) uint64 {
	i, _ := slices.BinarySearchFunc(o.answered, t, func(x toldIndex, t int64) int { return cmp.Compare(x.time, t) })
	if i == 0 {
		return 0
	}
	return o.answered[i-1].at
}

// after is below what all is that takes effect before a time, and who says so.
func (o toldOrder) after(t int64) (uint64, *treeChange) {
	i, _ := slices.BinarySearchFunc(o.asked, t+1, func(x toldIndex, t int64) int { return cmp.Compare(x.time, t) })
	if t == history.Pending || i == len(o.asked) {
		return noIndex, nil
	}
	return o.asked[i].at, o.asked[i].by
}
