package workloads

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"faultline/checker"
	"faultline/workloads/history"
)

// What the keys of each part of the workload forwarding begin with.
const (
	registerKeys = "register/"
	lockKeys     = "locks/"
	listKeys     = "lists/"
)

// Forwarding is the workload forwarding.
func Forwarding() Workload {
	return Workload{
		Name: "forwarding",
		Doc:  "registers, locks and lists together, read in every mode, of every datacenter and from every datacenter",
		Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS, history.OpCreate, history.OpRenew, history.OpDestroy,
			history.OpAcquire, history.OpRelease},
		New: NewForwarding,
		Checkers: []checker.Checker{
			checker.OnKeys(checker.Linearizable(), "register", registerKeys),
			checker.OnKeys(checker.Append(), "append", listKeys),
			checker.OnKeys(checker.Mutex(), "lock", lockKeys),
			checker.OnKeys(checker.Sessions(), "lock", lockKeys),
			checker.OnKeys(checker.Copies(), "forwarding", registerKeys, listKeys),
		},
	}
}

// mixed is the generators of other workloads, each on keys of its own, whose reads are in all modes.
type mixed struct {
	modes []history.Mode
	parts []part

	mu     sync.Mutex
	random *rand.Rand
}

// part is one of them.
type part struct {
	prefix    string  // of its keys
	share     float64 // of the operations
	generator Generator
}

// ofPart is the Own of an operation: that of its generator, and which that is.
type ofPart struct {
	part int
	own  any
}

const forwardingStream = 5 // of draws

// NewForwarding makes the Generator of the workload forwarding. Options are for each of its parts; Mode is that of bursts and final reads
// alone.
func NewForwarding(o Options) (Generator, error) {
	if o.Mode == history.ModeStale {
		return nil, fmt.Errorf("forwarding: a part of the reads is in every mode, and the final ones cannot be in mode %s", o.Mode)
	}
	g := &mixed{modes: o.Modes, random: rand.New(rand.NewPCG(o.Seed, forwardingStream))}
	if len(g.modes) == 0 {
		g.modes = history.Modes
	}
	for _, p := range []struct {
		prefix string
		share  float64
		make   func(Options) (Generator, error)
	}{
		{registerKeys, 0.45, NewRegister},
		{listKeys, 0.3, NewAppend},
		{lockKeys, 0.25, NewLock},
	} {
		made, err := p.make(o)
		if err != nil {
			return nil, fmt.Errorf("forwarding: %w", err)
		}
		g.parts = append(g.parts, part{p.prefix, p.share, made})
	}
	return g, nil
}

// Next implements Generator.
func (g *mixed) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.draw()
	op := g.of(at, g.parts[at].generator.Next())
	if op.F.Reads() {
		op.Mode = pick(g.random, g.modes)
	}
	return op
}

func (g *mixed) draw() int {
	draw := g.random.Float64()
	for i, p := range g.parts[:len(g.parts)-1] {
		if draw -= p.share; draw < 0 {
			return i
		}
	}
	return len(g.parts) - 1
}

func (g *mixed) of(at int, op Op) Op {
	if op.Key != "" { // that of a session has none
		op.Key = g.parts[at].prefix + op.Key
	}
	op.Own = ofPart{at, op.Own}
	return op
}

// Read implements Generator.
func (g *mixed) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.draw()
	return g.of(at, g.parts[at].generator.Read())
}

// Finals implements Generator: as many of each part.
func (g *mixed) Finals(most int) (ops []Op) {
	for at, p := range g.parts {
		for _, op := range p.generator.Finals((most - len(ops)) / (len(g.parts) - at)) {
			op.Mode = cmp.Or(op.Mode, history.ModeDefault)
			ops = append(ops, g.of(at, op))
		}
	}
	return ops
}

// Learn implements Generator.
func (g *mixed) Learn(op Op, o Outcome) {
	of := op.Own.(ofPart)
	p := g.parts[of.part]
	op.Own, op.Key = of.own, strings.TrimPrefix(op.Key, p.prefix)
	p.generator.Learn(op, o)
}
