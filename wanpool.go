package faultline

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// wanEvery is how often each server is asked whom it knows of the other datacenters. Pools of that kind
// need seconds for every change.
const wanEvery = time.Second

// wanPool writes down what servers say of the servers of all datacenters; checker wan judges it. Where there
// is one datacenter, or nobody can be asked, it has no servers and does nothing.
type wanPool struct {
	servers []topologies.Node
	wanted  map[string][]string // names by datacenter
	clients map[string]nodes.Conn
	log     history.Sink
}

func newWANPool(t topologies.Topology, clients map[string]nodes.Conn, log history.Sink) wanPool {
	w := wanPool{wanted: map[string][]string{}, clients: clients, log: log}
	if len(t.Datacenters) < 2 {
		return w
	}
	for _, n := range t.Servers() {
		if _, tells := nodes.AsWANMembers(clients[n.Name]); tells {
			w.servers = append(w.servers, n)
		}
		w.wanted[n.DC] = append(w.wanted[n.DC], n.Name)
	}
	return w
}

// run asks until ctx ends. A server that hangs delays nobody: each has its own loop.
func (w wanPool) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, n := range w.servers {
		all.Go(func() {
			for ctx.Err() == nil {
				w.look(ctx, n)
				sleep(ctx, wanEvery)
			}
		})
	}
	all.Wait()
}

// look writes down what a server says, and reports whether that is as it should be.
func (w wanPool) look(ctx context.Context, n topologies.Node) bool {
	seen := w.ask(ctx, n.Name)
	if ctx.Err() != nil {
		return false
	}
	value, err := json.Marshal(seen)
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	// A log that cannot be written stops the run through the clients, who use the same one.
	_, _ = w.log.Add(history.Event{Process: history.Observer, Type: history.Info, F: history.FWan, Node: n.Name, Value: value})
	return seen.Error == "" && len(seen.Gaps(w.wanted)) == 0
}

func (w wanPool) ask(ctx context.Context, node string) (seen history.WANView) {
	ctx, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	pool, ok := nodes.AsWANMembers(w.clients[node])
	if !ok {
		return history.WANView{Error: string(history.BadRequest)}
	}
	members, err := pool.WANMembers(ctx)
	if err != nil {
		return history.WANView{Error: string(nodes.CodeOf(err))}
	}
	return history.WANView{Members: members}
}

// await looks until every server knows just the servers there are, each until it does, and at all of them
// once more when ctx ends before that, so that there is an account of then. Only abort keeps it from that.
func (w wanPool) await(ctx, abort context.Context) {
	var all sync.WaitGroup
	for _, n := range w.servers {
		all.Go(func() {
			for ctx.Err() == nil {
				if w.look(ctx, n) {
					return
				}
				sleep(ctx, wanEvery)
			}
			w.look(abort, n)
		})
	}
	all.Wait()
}

// missing tells which server does not know all others, and whom it lacks; it is empty if there is none.
func (w wanPool) missing(ctx context.Context) string {
	for _, n := range w.servers {
		seen := w.ask(ctx, n.Name)
		if seen.Error != "" {
			return fmt.Sprintf("%s does not tell the servers of all datacenters: %s", n.Name, seen.Error)
		}
		if gaps := seen.Gaps(w.wanted); len(gaps) > 0 {
			return fmt.Sprintf("to %s, %s", n.Name, gaps[0])
		}
	}
	return ""
}
