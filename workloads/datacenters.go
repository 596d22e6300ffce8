package workloads

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
)

const (
	// localShare is the part of a client's operations that are for the data of the datacenter of the node
	// that it asks, as most of what users ask for is.
	localShare = 0.5
	// valuesPerDC is how far the values that are written in two datacenters lie apart.
	valuesPerDC = 1_000_000_000
	// seedsApart keeps the draws of datacenters apart; the first has those of a cluster of its own.
	seedsApart = 0x9e3779b97f4a7c15

	datacenterStream = 4 // of draws
)

// datacenters asks for the data of several datacenters, each by a generator of its own. All of them use the same
// names for keys, and none writes a value of another's, so that an operation that takes effect in the wrong datacenter
// shows there. Every operation says which datacenter it means; who is asked is the runner's choice.
type datacenters struct {
	names []string
	of    map[string]Generator

	mu     sync.Mutex
	random *rand.Rand
}

// newDatacenters has a generator made for each of the options' datacenters.
func newDatacenters(o Options, make func(Options) (Generator, error)) (Generator, error) {
	g := &datacenters{names: o.Datacenters, of: map[string]Generator{}, random: rand.New(rand.NewPCG(o.Seed, datacenterStream))}
	n := len(o.Datacenters)
	for i, name := range o.Datacenters {
		own := o
		own.Datacenters = nil
		own.Seed += uint64(i) * seedsApart
		own.After += int64(i) * valuesPerDC
		own.Concurrency = max(1, cmp.Or(o.Concurrency, defaultConcurrency)/n) // so that not all threads wait for something
		var err error
		if g.of[name], err = make(own); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Next implements Generator.
func (g *datacenters) Next() Op { return g.NextAt("") }

// NextAt implements Placed.
func (g *datacenters) NextAt(dc string) Op {
	dc = g.meant(dc)
	return tagged(g.of[dc].Next(), dc)
}

// meant draws whose data a client at a node of a datacenter asks for.
func (g *datacenters) meant(dc string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.Index(g.names, dc)
	switch {
	case at < 0:
		return pick(g.random, g.names)
	case g.random.Float64() < localShare:
		return dc
	}
	return g.names[(at+1+g.random.IntN(len(g.names)-1))%len(g.names)]
}

func tagged(op Op, dc string) Op {
	op.DC = dc
	return op
}

// Read implements Generator.
func (g *datacenters) Read() Op { return g.ReadAt("") }

// ReadAt implements Placed: of the data of that datacenter, since what a deposed leader remembers is that.
func (g *datacenters) ReadAt(dc string) Op {
	if g.of[dc] == nil {
		dc = g.meant("")
	}
	return tagged(g.of[dc].Read(), dc)
}

// Finals implements Generator: as many of each datacenter.
func (g *datacenters) Finals(most int) (ops []Op) {
	for i, dc := range g.names {
		share := (most - len(ops)) / (len(g.names) - i)
		for _, op := range g.of[dc].Finals(share) {
			ops = append(ops, tagged(op, dc))
		}
	}
	return ops
}

// Learn implements Generator.
func (g *datacenters) Learn(op Op, o Outcome) { g.of[op.DC].Learn(op, o) }
