package faultline

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// echoEvery is how often it is written down how the exchanges of a pair of datacenters fared.
const echoEvery = time.Second

// echo writes down what TCP alone makes of the links between datacenters, by one pair of nodes for each pair of these. Where
// there is one datacenter, or the cluster cannot tell, it has no pairs and does nothing.
type echo struct {
	pairs  [][2]string
	echoer nodes.Echoer
	log    history.Sink
}

func newEcho(t topologies.Topology, cluster nodes.Cluster, log history.Sink) echo {
	echoer, can := nodes.AsEchoer(cluster)
	e := echo{echoer: echoer, log: log}
	first := map[string]string{} // by datacenter
	for _, n := range t.Servers() {
		if first[n.DC] == "" {
			first[n.DC] = n.Name
		}
	}
	for i, a := range t.Datacenters {
		for _, b := range t.Datacenters[i+1:] {
			if can && first[a.Name] != "" && first[b.Name] != "" {
				e.pairs = append(e.pairs, [2]string{first[a.Name], first[b.Name]})
			}
		}
	}
	return e
}

// run asks until ctx ends. A pair that hangs delays no other.
func (e echo) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, pair := range e.pairs {
		all.Go(func() {
			for ctx.Err() == nil {
				e.ask(ctx, pair[0], pair[1])
				sleep(ctx, echoEvery)
			}
		})
	}
	all.Wait()
}

// ask writes down what there is to tell. What cannot be asked is left out: it says nothing of the system, and a pod that
// is gone is noticed elsewhere.
func (e echo) ask(ctx context.Context, from, to string) {
	seen, err := e.echoer.Echo(ctx, from, to)
	if err != nil || len(seen.Took) == 0 && seen.Lost == 0 {
		return
	}
	value, err := json.Marshal(seen)
	if err != nil {
		panic(err) // numbers and a string always encode
	}
	// A log that cannot be written stops the run through the clients, who use the same one.
	_, _ = e.log.Add(history.Event{Process: history.Observer, Type: history.Info, F: history.FEcho, Node: from, Value: value})
}
