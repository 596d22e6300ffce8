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

// remember adds what is used from now on, and forgets the oldest of what was.
func remember[T any](used []T, next T) []T {
	if len(used) >= 2*rememberedKeys {
		used = slices.Clone(used[len(used)-rememberedKeys:])
	}
	return append(used, next)
}

// register reads, writes and compares-and-sets integers. No integer is written twice in
// a run, so a value that was read names the operation that wrote it, which is what makes
// long histories cheap to check. Keys are replaced for the same reason: the price of a
// check grows with the operations on one key much faster than with the number of keys.
//
// Beside these hot keys there may be cold ones, and clients that come back late; see cold.go.
type register struct {
	mode                 history.Mode
	byValue              bool // the newest state is what was answered last
	odd                  bool // some names are
	opsPerKey            int
	reads, sets, deletes float64 // of a draw in [0,1): below reads a read, then below sets a cas, then a deletion
	coldShare, lateShare float64

	mu     sync.Mutex
	random *rand.Rand
	value  int64          // the last one that was given out
	named  int            // keys that were named so far
	active []*registerKey // in use, and hot
	cold   []*registerKey // the oldest first
	used   []*registerKey // by age, the newest last, those in use among them
}

// registerKey is a key and the newest of its states that any client was told of.
type registerKey struct {
	name   string
	budget int // operations before it is replaced; changes that are left of a cold one
	ops    int
	once   bool // it is cold, and written once
	now    registerState
	first  registerState // that any client was told of
}

// registerState is what a client was told of a key. A cas starts from there. The pair of value and
// index is always from one answer: the store compares the index and the checker compares the
// value, and the two mean the same only while they belong together.
type registerState struct {
	there bool   // the key is known to be there
	value string // integer in decimal, as stored; meaningless unless it is there
	index uint64 // modify index; 0 if the system tells none
}

// Register is the workload register.
func Register() Workload {
	return Workload{
		Name:     "register",
		Doc:      "reads, writes and compare-and-sets of integers on keys that are replaced as they grow old",
		Ops:      []history.Op{history.OpRead, history.OpWrite, history.OpCAS},
		New:      NewRegister,
		Checkers: []checker.Checker{checker.Linearizable(), checker.Copies()},
	}
}

// NewRegister makes the Generator of the workload register.
func NewRegister(o Options) (Generator, error) {
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	o.Keys = cmp.Or(o.Keys, defaultKeys)
	o.OpsPerKey = cmp.Or(o.OpsPerKey, defaultOpsPerKey)
	reads := max(0, cmp.Or(o.ReadShare, defaultReadShare))
	sets := max(0, cmp.Or(o.CASShare, defaultCASShare))
	deletes, cold, late := max(0, o.DeleteShare), max(0, o.ColdShare), max(0, o.LateShare)
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("register: %d keys in use at a time; at least 1 is needed", o.Keys)
	case o.OpsPerKey < 1:
		return nil, fmt.Errorf("register: %d operations a key; at least 1 is needed", o.OpsPerKey)
	case !(reads+sets <= 1): // not a number is refused as well
		return nil, fmt.Errorf("register: reads (%v) and compare-and-sets (%v) are more than all operations", reads, sets)
	case !(reads+sets+deletes <= 1):
		return nil, fmt.Errorf("register: reads (%v), compare-and-sets (%v) and deletions (%v) are more than all operations", reads, sets, deletes)
	case !(cold+late <= 1):
		return nil, fmt.Errorf("register: operations on cold keys (%v) and late ones (%v) are more than all operations", cold, late)
	}
	g := &register{mode: o.Mode, byValue: o.ByValue, odd: o.OddNames, opsPerKey: o.OpsPerKey,
		reads: reads, sets: reads + sets, deletes: reads + sets + deletes, coldShare: cold, lateShare: late,
		value: o.After, random: rand.New(rand.NewPCG(o.Seed, 0))}
	for i := range o.Keys {
		// Staggered, so that not all keys are young at the same time.
		g.active = append(g.active, g.newKey(max(1, o.OpsPerKey*(i+1)/o.Keys)))
	}
	return g, nil
}

func (g *register) newKey(budget int) *registerKey {
	k := &registerKey{name: keyName(g.named, g.odd), budget: budget}
	g.named++
	if len(g.used) >= 2*rememberedKeys { // the first stay
		g.used = slices.Delete(g.used, finalKeys, len(g.used)-rememberedKeys+finalKeys)
	}
	g.used = append(g.used, k)
	return k
}

// Next implements Generator.
func (g *register) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.coldShare+g.lateShare > 0 {
		switch draw := g.random.Float64(); {
		case draw < g.coldShare:
			return g.nextCold()
		case draw < g.coldShare+g.lateShare:
			if op, ok := g.late(); ok {
				return op
			}
		}
	}
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
		return g.cas(k, k.now)
	case draw < g.deletes:
		return g.delete(k)
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

// Finals implements Generator. The oldest show what was lost long ago.
func (g *register) Finals(most int) []Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	var ops []Op
	for oldest, newest := 0, len(g.used)-1; oldest <= newest && len(ops) < most; {
		k := g.used[newest]
		if len(ops)%2 == 1 {
			k = g.used[oldest]
			oldest++
		} else {
			newest--
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

// cas sets a key if its state is still one that it had.
func (g *register) cas(k *registerKey, had registerState) Op {
	text := g.nextValue()
	op := nodes.Op{F: history.OpCAS, Key: k.name, Value: text, Index: had.index}
	if had.there {
		op.Old = had.value
	}
	return Op{Op: op, Argument: statePair(had, text), Own: k}
}

// delete deletes a key; one that is there, every other time only if its state is still the one that is known.
func (g *register) delete(k *registerKey) Op {
	if k.now.there && k.now.index > 0 && g.random.IntN(2) == 0 {
		return Op{Op: nodes.Op{F: history.OpDeleteCAS, Key: k.name, Index: k.now.index, Old: k.now.value},
			Argument: statePair(k.now, "null"), Own: k}
	}
	return Op{Op: nodes.Op{F: history.OpDelete, Key: k.name}, Own: k}
}

// statePair is the [old,new] of a conditional operation.
func statePair(old registerState, to string) json.RawMessage {
	pair := append(make([]byte, 0, 48), '[')
	if old.there {
		pair = append(pair, old.value...)
	} else {
		pair = append(pair, "null"...)
	}
	return append(append(append(pair, ','), to...), ']')
}

func (g *register) nextValue() string {
	g.value++
	return strconv.FormatInt(g.value, 10)
}

// Learn implements Generator. An older index than the known one is what a stale read
// brings, and is ignored; so is an answer without index, or with a value that no client
// of this workload can have written. Without any indexes the latest answer counts: if it was
// stale, a compare fails. So it does of deletions: nothing tells how old an absence is.
func (g *register) Learn(op Op, a Outcome) {
	found := registerState{there: true, value: op.Value, index: a.Answer.Index}
	switch {
	case a.Type == history.OK && op.F == history.OpRead, a.Answer.HasCurrent:
		found.there, found.value = a.Answer.Found, a.Answer.Value
	case a.Type != history.OK:
		return
	case op.F == history.OpDelete, op.F == history.OpDeleteCAS:
		found.there = false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	k := op.Own.(*registerKey)
	switch {
	case !found.there:
		if g.deletes > g.sets {
			k.now = registerState{}
		}
	case isInteger(found.value) && (found.index > k.now.index || g.byValue):
		k.now = found
		if !k.first.there {
			k.first = found
		}
	}
}
