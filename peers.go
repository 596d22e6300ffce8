package faultline

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// membership writes down what servers say of the peer set; checker members judges it.
type membership struct {
	datacenters []string
	servers     []topologies.Node // that should be the peer set of their datacenter
	clients     map[string]nodes.Conn
	log         history.Sink
}

func newMembership(t topologies.Topology, system nodes.System, clients map[string]nodes.Conn, log history.Sink) membership {
	m := membership{datacenters: t.DatacenterNames(), clients: clients, log: log}
	if system.Facts().Can(history.ChangesMembers) {
		m.servers = t.Servers()
	}
	return m
}

// await asks, in each datacenter, one server after the other until one tells a peer set that is just the
// servers, and, when ctx ends before that, all of them once more, so that there is an account of then. Only
// abort keeps it from that.
func (m membership) await(ctx, abort context.Context) {
	var all sync.WaitGroup
	for _, dc := range m.datacenters {
		all.Go(func() { m.awaitIn(ctx, abort, dc) })
	}
	all.Wait()
}

func (m membership) awaitIn(ctx, abort context.Context, dc string) {
	servers := slices.DeleteFunc(slices.Clone(m.servers), func(n topologies.Node) bool { return n.DC != dc })
	for turn := 0; ctx.Err() == nil && len(servers) > 0; turn++ {
		if m.look(ctx, servers[turn%len(servers)]) {
			return
		}
		sleep(ctx, observeEvery)
	}
	for _, n := range servers {
		if abort.Err() == nil {
			m.look(abort, n)
		}
	}
}

// look writes down what one server says, and reports whether that is as it should be.
func (m membership) look(ctx context.Context, n topologies.Node) bool {
	asking, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	seen, err := m.ask(asking, n.Name)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		seen = history.PeerSet{Error: string(nodes.CodeOf(err))}
	}
	value, err := json.Marshal(seen)
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	_, _ = m.log.Add(history.Event{Process: history.Observer, Type: history.Info, F: history.FPeers, Node: n.Name, Value: value})
	return seen.Error == "" && len(seen.Gaps(m.peersOf(n.DC))) == 0
}

func (m membership) ask(ctx context.Context, node string) (seen history.PeerSet, err error) {
	members, ok := nodes.AsMembers(m.clients[node])
	if !ok {
		return seen, nodes.Errorf(history.BadRequest, "clients of this system cannot look at the peer set")
	}
	peers, err := members.Peers(ctx)
	for _, p := range peers {
		seen.Peers = append(seen.Peers, history.Peer{ID: p.ID, Node: p.Node, Voter: p.Voter})
	}
	return seen, err
}

func (m membership) peersOf(dc string) (names []string) {
	for _, n := range m.servers {
		if n.DC == dc {
			names = append(names, n.Name)
		}
	}
	return names
}
