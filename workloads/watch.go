package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

const (
	defaultWatchedKeys = 5
	defaultConcurrency = 12
	defaultTimeout     = 3 * time.Second

	watchShare     = 0.4                    // of operations, while a watcher is idle
	watchReads     = 0.2                    // of the others
	watchDeletes   = 0.2                    // of changes; another 0.3 compare and set, the rest write
	shortestWait   = 200 * time.Millisecond // of a watch
	changesPerStep = 4                      // a key is changed so many times as often as the next one
	oldIndexes     = 20                     // a watcher remembers
)

// watch has writers change a few keys, the first of them all the time and the last one
// rarely, beside watchers: clients that watch one key each, and go on from the index of the
// answer before. A watcher is not bound to a node: its next watch goes to whatever node is asked next,
// as of a client that fails over, and after an error it resumes from the index that it had.
//
// Watches block the threads that ask them, so there are fewer watchers than threads, and no watch waits for
// longer than half of the timeout.
type watch struct {
	mode    history.Mode
	longest time.Duration // wait of a watch

	mu     sync.Mutex
	random *rand.Rand
	value  int64 // the last one that was given out; none is written twice
	keys   []*watchedKey
	idle   []*watcher // those without a watch under way
}

// watchedKey is a key and its newest state that any client was told of.
type watchedKey struct {
	name  string
	value string // meaningless if index is 0
	index uint64 // modify index; 0 if the key is absent, as far as is known
	asOf  uint64 // index of the answer that told
}

// watcher is a client that watches one key.
type watcher struct {
	key  *watchedKey
	seen []uint64 // indexes of its last answers, the newest last
}

// Watch is the workload watch.
func Watch() Workload {
	return Workload{
		Name:     "watch",
		Doc:      "blocking queries that go on from index to index, beside writes, compare-and-sets and deletions of the keys that they watch",
		Ops:      []history.Op{history.OpRead, history.OpWrite, history.OpCAS, history.OpDelete, history.OpWatch},
		New:      NewWatch,
		Checkers: []checker.Checker{checker.Watch()},
	}
}

// NewWatch makes the Generator of the workload watch. Its keys are used for the whole run; shares and
// OpsPerKey have no meaning.
func NewWatch(o Options) (Generator, error) {
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	o.Keys = cmp.Or(o.Keys, defaultWatchedKeys)
	o.Concurrency = cmp.Or(o.Concurrency, defaultConcurrency)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("watch: %d keys; at least 1 is needed", o.Keys)
	case o.Timeout/2 < shortestWait:
		return nil, fmt.Errorf("watch: a timeout of %v; watches wait for %v and more, and need twice as long", o.Timeout, shortestWait)
	}
	g := &watch{mode: o.Mode, longest: o.Timeout / 2, value: o.After, random: rand.New(rand.NewPCG(o.Seed, 3))}
	for i := range o.Keys {
		g.keys = append(g.keys, &watchedKey{name: "watched" + strconv.Itoa(i)})
	}
	for i := range max(1, o.Concurrency/3) {
		g.idle = append(g.idle, &watcher{key: g.keys[i%len(g.keys)]})
	}
	return g, nil
}

// Next implements Generator.
func (g *watch) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(g.idle); n > 0 && g.random.Float64() < watchShare {
		at := g.random.IntN(n)
		w := g.idle[at]
		g.idle[at] = g.idle[n-1]
		g.idle = g.idle[:n-1]
		return g.watch(w)
	}
	k := g.keys[g.changed(g.random.Float64())]
	if g.random.Float64() < watchReads {
		return g.read(k)
	}
	switch draw := g.random.Float64(); {
	case draw < watchDeletes:
		return Op{Op: nodes.Op{F: history.OpDelete, Key: k.name}, Own: k}
	case draw < watchDeletes+0.3:
		return g.cas(k)
	}
	text := g.nextValue()
	return Op{Op: nodes.Op{F: history.OpWrite, Key: k.name, Value: text}, Argument: json.RawMessage(text), Own: k}
}

// changed is the key that a draw of [0,1) falls on: each is changed changesPerStep times as often as the next
// one. What a watch has missed on a busy key, the next change mends; on a quiet one it shows.
func (g *watch) changed(draw float64) int {
	key := int(-math.Log(1-draw) / math.Log(changesPerStep))
	return min(key, len(g.keys)-1)
}

// watch goes on from the last answer of the watcher; now and then from an older one, as a client does that was
// away for long, or from none, as a new one does, or with another key.
func (g *watch) watch(w *watcher) Op {
	var since uint64
	switch draw := g.random.Float64(); {
	case draw < 0.1:
		w = &watcher{key: g.keys[g.random.IntN(len(g.keys))]}
	case len(w.seen) == 0:
	case draw < 0.15:
		since = w.seen[g.random.IntN(len(w.seen))]
	default:
		since = w.seen[len(w.seen)-1]
	}
	wait := g.wait()
	argument, err := json.Marshal(history.WatchArgument{Since: since, WaitMS: wait.Milliseconds()})
	if err != nil {
		panic(err) // it always encodes
	}
	return Op{Op: nodes.Op{F: history.OpWatch, Key: w.key.name, Mode: g.mode, Since: since, Wait: wait},
		Argument: argument, Record: recordWatch, Own: w}
}

// wait is log-uniform from shortestWait to the longest, in whole milliseconds.
func (g *watch) wait() time.Duration {
	wait := float64(shortestWait) * math.Pow(float64(g.longest)/float64(shortestWait), g.random.Float64())
	return min(time.Duration(wait), g.longest).Truncate(time.Millisecond)
}

// recordWatch is the recorded form of what a watch saw; of what no client of this workload can have written,
// false.
func recordWatch(a nodes.Answer) (json.RawMessage, bool) {
	saw := history.WatchResult{Value: history.Null, Next: a.Next}
	if a.Found {
		if !isInteger(a.Value) {
			return nil, false
		}
		saw.Value, saw.CreateIndex, saw.ModifyIndex = json.RawMessage(a.Value), a.Entry.CreateIndex, a.Index
	}
	value, err := json.Marshal(saw)
	if err != nil {
		panic(err) // it always encodes
	}
	return value, true
}

func (g *watch) cas(k *watchedKey) Op {
	text := g.nextValue()
	op := nodes.Op{F: history.OpCAS, Key: k.name, Value: text, Index: k.index}
	old := "null"
	if k.index != 0 {
		op.Old, old = k.value, k.value
	}
	return Op{Op: op, Argument: json.RawMessage("[" + old + "," + text + "]"), Own: k}
}

func (g *watch) read(k *watchedKey) Op {
	return Op{Op: nodes.Op{F: history.OpRead, Key: k.name, Mode: g.mode}, Own: k}
}

func (g *watch) nextValue() string {
	g.value++
	return strconv.FormatInt(g.value, 10)
}

// Read implements Generator.
func (g *watch) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read(g.keys[g.random.IntN(len(g.keys))])
}

// Finals implements Generator.
func (g *watch) Finals(most int) (ops []Op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range g.keys[:min(most, len(g.keys))] {
		ops = append(ops, g.read(k))
	}
	return ops
}

// Learn implements Generator. A watcher keeps its index when its watch failed; one whose answer is not newer
// resets it, as Consul's documentation asks of clients
// (https://developer.hashicorp.com/consul/api-docs/features/blocking).
func (g *watch) Learn(op Op, o Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, _ := op.Own.(*watchedKey)
	if w, ok := op.Own.(*watcher); ok {
		k = w.key
		if o.Type == history.OK {
			w.learn(o.Answer.Next)
		}
		g.idle = append(g.idle, w)
	}
	value := op.Value
	switch {
	case o.Type == history.OK && op.F.Reads(), o.Answer.HasCurrent:
		value = o.Answer.Value
	case o.Type != history.OK:
		return
	}
	k.learn(o.Answer, value)
}

func (w *watcher) learn(next uint64) {
	if n := len(w.seen); n > 0 && next < w.seen[n-1] {
		w.seen = nil
		return
	}
	w.seen = append(w.seen, next)
	w.seen = w.seen[max(0, len(w.seen)-oldIndexes):]
}

// learn takes over what an answer tells of the key, unless it is older than what is known.
func (k *watchedKey) learn(a nodes.Answer, value string) {
	asOf := max(a.Next, a.Index)
	if asOf <= k.asOf {
		return
	}
	k.asOf, k.index = asOf, 0
	if a.Found && isInteger(value) {
		k.index, k.value = a.Index, value
	}
}
