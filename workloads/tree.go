package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

const (
	defaultDirectories = 2
	groupSize          = 8 // directories that are listed together, the old ones among them
)

// What clients do with a directory, as parts of those operations that read, or that do not.
const (
	listShare       = 0.6  // of reads; the rest are of single keys
	deleteCASShare  = 0.3  // of the conditional changes; the rest writes
	treeDeleteShare = 0.2  // of the unconditional ones
	deleteShare     = 0.2  // of the same; the rest writes
	emptyShare      = 0.08 // of writes
)

// leaves are the keys of a directory: names that a system may take for something else on their way through paths, queries
// and ranges. Some are prefixes of others.
var leaves = []string{"a", "a/", "a/b", "a/b c", "ab", "a%2Fb", "100%", "k?v=1&w#x", "ключ/ß", "漢+字;\"'", "z/~"}

// prefixes are what is listed and deleted within a directory; the first is all of it.
var prefixes = []string{"", "a", "a/", "ab", "a/b", "a%", "ключ/", "z/"}

// tree has clients write, delete and list keys with odd names in a few directories, each of which is replaced as it grows
// old. Values are unique but for the empty one, which says less, so it is rare. Directories belong to groups, which are
// listed as a whole.
type tree struct {
	mode        history.Mode
	opsPerDir   int
	reads, sets float64 // of a draw in [0,1): below reads a read, then below sets one with a condition

	mu     sync.Mutex
	random *rand.Rand
	value  int64 // the last one that was given out
	named  int   // directories that were named so far
	active []*directory
	used   []*directory // by age, the newest last
}

// directory is a prefix, and what was told last of its keys.
type directory struct {
	name   string
	budget int // operations before it is replaced
	ops    int
	keys   map[string]history.Entry // that are there
}

// Tree is the workload tree.
func Tree() Workload {
	return Workload{
		Name: "tree",
		Doc:  "keys with odd names that are written, read, listed, and deleted alone and by prefix, in directories that are replaced as they grow old",
		Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS, history.OpList, history.OpDelete, history.OpDeleteCAS,
			history.OpDeleteTree},
		New:      NewTree,
		Checkers: []checker.Checker{checker.Tree()},
	}
}

// NewTree makes the Generator of the workload tree. Keys are directories in use at a time, OpsPerKey the operations after
// which one is replaced.
func NewTree(o Options) (Generator, error) {
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	o.Keys = cmp.Or(o.Keys, defaultDirectories)
	o.OpsPerKey = cmp.Or(o.OpsPerKey, defaultOpsPerKey)
	reads := max(0, cmp.Or(o.ReadShare, defaultReadShare))
	sets := max(0, cmp.Or(o.CASShare, defaultCASShare))
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("tree: %d directories in use at a time; at least 1 is needed", o.Keys)
	case o.OpsPerKey < 1:
		return nil, fmt.Errorf("tree: %d operations a directory; at least 1 is needed", o.OpsPerKey)
	case !(reads+sets <= 1): // not a number is refused as well
		return nil, fmt.Errorf("tree: reads (%v) and operations with a condition (%v) are more than all operations", reads, sets)
	}
	g := &tree{mode: o.Mode, opsPerDir: o.OpsPerKey, reads: reads, sets: reads + sets, value: o.After, random: rand.New(rand.NewPCG(o.Seed, 3))}
	for i := range o.Keys {
		g.active = append(g.active, g.newDirectory(max(1, o.OpsPerKey*(i+1)/o.Keys)))
	}
	return g, nil
}

func (g *tree) newDirectory(budget int) *directory {
	d := &directory{name: fmt.Sprintf("tree%d/d%d/", g.named/groupSize, g.named%groupSize), budget: budget, keys: map[string]history.Entry{}}
	g.named++
	g.used = remember(g.used, d)
	return d
}

// Next implements Generator.
func (g *tree) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.random.IntN(len(g.active))
	if g.active[at].ops >= g.active[at].budget {
		g.active[at] = g.newDirectory(g.opsPerDir)
	}
	d := g.active[at]
	d.ops++
	draw := g.random.Float64()
	switch {
	case draw < g.reads:
		return g.look(d)
	case draw < g.sets:
		return g.conditional(d, d.name+pick(g.random, leaves))
	}
	return g.change(d, d.name+pick(g.random, leaves))
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// Read implements Generator.
func (g *tree) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := pick(g.random, g.active)
	d.ops++
	return g.look(d)
}

// Finals implements Generator: listings of the directories that were used last.
func (g *tree) Finals(most int) (ops []Op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range slices.Backward(g.used) {
		if len(ops) < most && d.ops > 0 {
			ops = append(ops, g.list(d, d.name))
		}
	}
	return ops
}

// look reads a key, or lists the directory, a part of it or its group.
func (g *tree) look(d *directory) Op {
	if g.random.Float64() >= listShare {
		return Op{Op: nodes.Op{F: history.OpRead, Key: d.name + pick(g.random, leaves), Mode: g.mode}, Record: recordEntry, Own: d}
	}
	switch draw := g.random.Float64(); {
	case draw < 0.1:
		group, _, _ := strings.Cut(d.name, "/")
		return g.list(d, group+"/")
	case draw < 0.6:
		return g.list(d, d.name)
	}
	return g.list(d, d.name+pick(g.random, prefixes))
}

func (g *tree) list(d *directory, prefix string) Op {
	return Op{Op: nodes.Op{F: history.OpList, Key: prefix, Mode: g.mode}, Record: recordListing, Own: d}
}

// change writes or deletes, whatever is there.
func (g *tree) change(d *directory, key string) Op {
	switch draw := g.random.Float64(); {
	case draw < treeDeleteShare:
		return Op{Op: nodes.Op{F: history.OpDeleteTree, Key: d.name + pick(g.random, prefixes)}, Own: d}
	case draw < treeDeleteShare+deleteShare:
		return Op{Op: nodes.Op{F: history.OpDelete, Key: key}, Own: d}
	}
	value := g.nextValue()
	if g.random.Float64() < emptyShare {
		value = ""
	}
	return Op{Op: nodes.Op{F: history.OpWrite, Key: key, Value: value}, Argument: encoded(value), Record: recordEntry, Own: d}
}

// conditional changes what was told last, if that is still there.
func (g *tree) conditional(d *directory, key string) Op {
	was, there := d.keys[key]
	op := nodes.Op{F: history.OpCAS, Key: key, Index: was.ModifyIndex, Old: was.Value}
	var old *history.Entry
	if there {
		old = &history.Entry{Value: was.Value, ModifyIndex: was.ModifyIndex}
	}
	if there && g.random.Float64() < deleteCASShare {
		op.F = history.OpDeleteCAS
		return Op{Op: op, Argument: encoded(old), Record: recordEntry, Own: d}
	}
	op.Value = g.nextValue()
	return Op{Op: op, Argument: encoded([]any{old, op.Value}), Record: recordEntry, Own: d}
}

func (g *tree) nextValue() string {
	g.value++
	return "v" + strconv.FormatInt(g.value, 10)
}

func encoded(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it always encodes
	}
	return text
}

// recordEntry is the recorded form of a key, whatever it holds: what nobody wrote is for the checker to say.
func recordEntry(found nodes.Answer) (json.RawMessage, bool) {
	return encoded(entryOf(found)), true
}

func entryOf(found nodes.Answer) history.Entry {
	e := found.Entry
	e.Value, e.ModifyIndex = found.Value, found.Index
	return e
}

func recordListing(found nodes.Answer) (json.RawMessage, bool) {
	return encoded(history.Listing{Entries: found.Entries, Next: found.Next}), true
}

// Learn implements Generator. What was told last counts: if it was stale, a condition does not hold.
func (g *tree) Learn(op Op, o Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := op.Own.(*directory)
	switch {
	case o.Type == history.OK && op.F == history.OpList:
		d.forget(op.Key, true)
		for _, e := range o.Answer.Entries {
			if strings.HasPrefix(e.Key, d.name) {
				d.keys[e.Key] = e
			}
		}
	case o.Answer.HasCurrent, o.Type == history.OK && op.F == history.OpRead:
		d.forget(op.Key, false)
		if o.Answer.Found {
			d.keys[op.Key] = entryOf(o.Answer)
		}
	case o.Type != history.OK:
	case op.F == history.OpWrite, op.F == history.OpCAS:
		d.forget(op.Key, false)
		if o.Answer.Index > 0 {
			d.keys[op.Key] = history.Entry{Value: op.Value, ModifyIndex: o.Answer.Index}
		}
	default:
		d.forget(op.Key, op.F == history.OpDeleteTree)
	}
}

// forget takes a key, or all with a prefix, for absent.
func (d *directory) forget(key string, prefix bool) {
	for known := range d.keys {
		if known == key || prefix && strings.HasPrefix(known, key) {
			delete(d.keys, known)
		}
	}
}
