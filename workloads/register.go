package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// Defaults of Options.
const (
	defaultKeys      = 6
	defaultOpsPerKey = 150
	defaultReadShare = 0.5
	defaultCASShare  = 0.25
)

// rememberedKeys bounds what Finals can list.
const rememberedKeys = 1000

// register reads, writes and compares-and-sets integers. No integer is written twice in
// a run, so a value that was read names the operation that wrote it, which is what makes
// long histories cheap to check. Keys are replaced for the same reason: the price of a
// check grows with the operations on one key much faster than with the number of keys.
type register struct {
	mode        history.Mode
	byValue     bool // the newest state is what was answered last
	opsPerKey   int
	reads, sets float64 // of a draw in [0,1): below reads a read, then below sets a cas

	mu     sync.Mutex
	random *rand.Rand
	value  int64          // the last one that was given out
	named  int            // keys that were named so far
	active []*registerKey // in use
	used   []*registerKey // by age, the newest last, those in use among them
}

// registerKey is a key and the newest of its states that any client was told of. A cas
// starts from there. The pair of value and index is always from one answer: the store
// compares the index and the checker compares the value, and the two mean the same only
// while they belong together.
type registerKey struct {
	name   string
	budget int // operations before it is replaced
	ops    int
	there  bool   // the key is known to be there
	value  string // integer in decimal, as stored; meaningless unless it is there
	index  uint64 // modify index; 0 if the system tells none
}

// Register is the workload register.
func Register() Workload {
	return Workload{
		Name:     "register",
		Doc:      "reads, writes and compare-and-sets of integers on keys that are replaced as they grow old",
		Ops:      []history.Op{history.OpRead, history.OpWrite, history.OpCAS},
		New:      NewRegister,
		Checkers: []checker.Checker{checker.Linearizable()},
	}
}

// NewRegister makes the Generator of the workload register.
func NewRegister(o Options) (Generator, error) {
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	o.Keys = cmp.Or(o.Keys, defaultKeys)
	o.OpsPerKey = cmp.Or(o.OpsPerKey, defaultOpsPerKey)
	reads := max(0, cmp.Or(o.ReadShare, defaultReadShare))
	sets := max(0, cmp.Or(o.CASShare, defaultCASShare))
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("register: %d keys in use at a time; at least 1 is needed", o.Keys)
	case o.OpsPerKey < 1:
		return nil, fmt.Errorf("register: %d operations a key; at least 1 is needed", o.OpsPerKey)
	case !(reads+sets <= 1): // not a number is refused as well
		return nil, fmt.Errorf("register: reads (%v) and compare-and-sets (%v) are more than all operations", reads, sets)
	}
	g := &register{mode: o.Mode, byValue: o.ByValue, opsPerKey: o.OpsPerKey, reads: reads, sets: reads + sets,
		random: rand.New(rand.NewPCG(o.Seed, 0))}
	for i := range o.Keys {
		// Staggered, so that not all keys are young at the same time.
		g.active = append(g.active, g.newKey(max(1, o.OpsPerKey*(i+1)/o.Keys)))
	}
	return g, nil
}

func (g *register) newKey(budget int) *registerKey {
	k := &registerKey{name: "k" + strconv.Itoa(g.named), budget: budget}
	g.named++
	if len(g.used) >= 2*rememberedKeys {
		g.used = slices.Clone(g.used[len(g.used)-rememberedKeys:])
	}
	g.used = append(g.used, k)
	return k
}

// Next implements Generator.
func (g *register) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.random.IntN(len(g.active))
	if g.active[at].ops >= g.active[at].budget {
		g.active[at] = g.newKey(g.opsPerKey)
	}
	k := g.active[at]
	k.ops++
	draw := g.random.Float64()
	switch {
	case draw < g.reads:
		return g.read(k)
	case draw < g.sets:
		return g.cas(k)
	}
	return g.write(k)
}

// Read implements Generator. It prefers a key that has been used: a read of a fresh one
// finds nothing, on a server that is up to date and on one that is not.
func (g *register) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.random.IntN(len(g.active))
	for i := range g.active {
		if k := g.active[(at+i)%len(g.active)]; k.ops > 0 {
			at = (at + i) % len(g.active)
			break
		}
	}
	k := g.active[at]
	k.ops++
	return g.read(k)
}

// Finals implements Generator.
func (g *register) Finals(most int) []Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ops []Op
	for _, k := range slices.Backward(g.used) {
		if len(ops) == most {
			break
		}
		if k.ops > 0 {
			ops = append(ops, g.read(k))
		}
	}
	return ops
}

func (g *register) read(k *registerKey) Op {
	return Op{Op: nodes.Op{F: history.OpRead, Key: k.name, Mode: g.mode}, Own: k}
}

func (g *register) write(k *registerKey) Op {
	text := g.nextValue()
	return Op{Op: nodes.Op{F: history.OpWrite, Key: k.name, Value: text}, Argument: json.RawMessage(text), Own: k}
}

func (g *register) cas(k *registerKey) Op {
	text := g.nextValue()
	op := nodes.Op{F: history.OpCAS, Key: k.name, Value: text, Index: k.index}
	pair := append(make([]byte, 0, 48), '[')
	if k.there {
		op.Old = k.value
		pair = append(pair, k.value...)
	} else {
		pair = append(pair, "null"...)
	}
	pair = append(append(append(pair, ','), text...), ']')
	return Op{Op: op, Argument: pair, Own: k}
}

func (g *register) nextValue() string {
	g.value++
	return strconv.FormatInt(g.value, 10)
}

// Learn implements Generator. An older index than the known one is what a stale read
// brings, and is ignored; so is an answer without index, or with a value that no client
// of this workload can have written. Without any indexes the latest answer counts: if it was
// stale, a compare fails.
func (g *register) Learn(op Op, a Outcome) {
	value := op.Value
	switch {
	case a.Type == history.OK && op.F == history.OpRead, a.Answer.HasCurrent:
		if value = a.Answer.Value; !a.Answer.Found || !isInteger(value) {
			return
		}
	case a.Type != history.OK:
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if k := op.Own.(*registerKey); a.Answer.Index > k.index || g.byValue {
		k.there, k.index, k.value = true, a.Answer.Index, value
	}
}
