package faultline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

const (
	observeEvery   = 250 * time.Millisecond
	observeTimeout = time.Second
	leaderPatience = 10 * time.Second // how long a fault waits for a leader to aim at
)

// observer samples what every node says of itself, into the history.
type observer struct {
	nodes   []topologies.Node
	clients map[string]nodes.Conn
	log     history.Sink
	leaders bool // the system's servers say who leads
	wan     wanPool

	broken *broken

	mu   sync.Mutex
	last map[string]string // of each datacenter the leader of the latest sample; none if nobody led
}

// run samples until ctx ends. A node that hangs delays nobody: each has its own loop.
func (o *observer) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, n := range o.nodes {
		all.Go(func() {
			tick := time.NewTicker(observeEvery)
			defer tick.Stop()
			for {
				o.sample(ctx, n)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

func (o *observer) sample(ctx context.Context, n topologies.Node) {
	seen, err := o.ask(ctx, n.Name)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		seen = history.Observation{Error: string(nodes.CodeOf(err))}
	}
	o.mu.Lock()
	if seen.State == history.Leader {
		o.last[n.DC] = n.Name
	} else if o.last[n.DC] == n.Name {
		delete(o.last, n.DC)
	}
	o.mu.Unlock()
	value, err := json.Marshal(seen)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	// A log that cannot be written stops the run through the clients, who use the same one.
	_, _ = o.log.Add(history.Event{Process: history.Observer, Type: history.Info, F: history.FObserve, Node: n.Name, Value: value})
}

func (o *observer) ask(ctx context.Context, node string) (history.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	return o.clients[node].Observe(ctx)
}

// seenLeaders are the leaders of the latest samples, by datacenter, for people to look at.
func (o *observer) seenLeaders() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for _, dc := range slices.Sorted(maps.Keys(o.last)) {
		names = append(names, o.last[dc])
	}
	return strings.Join(names, ", ")
}

// leader asks all servers of a datacenter now, and again until one of them says that it leads. If a
// deposed leader says so too, the one with the higher term is meant.
func (o *observer) leader(ctx context.Context, dc string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	for {
		if name := o.askForLeader(ctx, dc); name != "" {
			return name, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no server of %s said that it leads within %v", dc, leaderPatience)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (o *observer) askForLeader(ctx context.Context, dc string) string {
	var (
		mu   sync.Mutex
		all  sync.WaitGroup
		name string
		term uint64
	)
	for _, n := range o.nodes {
		if n.Role == topologies.Client || n.DC != dc {
			continue // a spare may lead, once it has joined
		}
		all.Go(func() {
			seen, err := o.ask(ctx, n.Name)
			if err != nil || seen.State != history.Leader {
				return // somebody else may lead
			}
			mu.Lock()
			defer mu.Unlock()
			if name == "" || seen.Term > term {
				name, term = n.Name, seen.Term
			}
		})
	}
	all.Wait()
	return name
}

// allLed reports whether somebody leads every datacenter.
func (o *observer) allLed(ctx context.Context) bool {
	led := map[string]bool{}
	for _, n := range o.nodes {
		if _, asked := led[n.DC]; !asked {
			led[n.DC] = o.askForLeader(ctx, n.DC) != ""
		}
		if !led[n.DC] {
			return false
		}
	}
	return true
}

// ready waits until every node answers and, where the system says so, until a server
// leads each datacenter, every server knows a leader, and all know the servers of all datacenters.
func (o *observer) ready(ctx context.Context, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var missing string
	for {
		if now := o.missing(limited); limited.Err() == nil { // else it only tells of the limit
			missing = now
		}
		if missing == "" && (!o.leaders || o.allLed(limited)) {
			return o.broken.err()
		}
		select {
		case <-o.broken.Done():
			return o.broken.err()
		case <-limited.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("the cluster was not ready within %v: %s", within, cmp.Or(missing, "nobody led for long"))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// missing tells which node is not ready, and why; it is empty if all are.
func (o *observer) missing(ctx context.Context) string {
	for _, n := range o.nodes {
		if n.Role == topologies.Spare {
			continue
		}
		seen, err := o.ask(ctx, n.Name)
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", n.Name, err)
		}
		if o.leaders && n.Role == topologies.Server && seen.Leader == "" {
			return n.Name + " follows no leader"
		}
	}
	return o.wan.missing(ctx)
}
