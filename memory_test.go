package faultline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
	"faultline/topologies"
	"faultline/workloads/history"
)

// memory is a cluster of a correct system, in the memory of the test: a store with one
// leader, whose nodes are values. Its pods are those of the real runtimes: the same streams,
// injector.Serve at their ends, and pods.Group before them. It is meant for virtual time.
type memory struct {
	trap *trap
	deaf atomic.Bool  // no call of the cluster returns before its context ends
	mute atomic.Value // string: the node that serves no operation, though it says that it is well

	mu      sync.Mutex
	names   []string
	nodes   map[string]*memoryNode
	peers   map[string]bool // that vote
	leader  string          // of the term; it may be down
	term    uint64
	since   time.Time // when something changed that the peers may have to elect for
	index   uint64
	items   map[string]nodes.Answer
	lives   *pods.Lives
	group   *pods.Group
	pids    int
	started int // clusters
	closed  int
}

type memoryNode struct {
	topologies.Node
	addr  netip.Addr
	state injector.State
	alive bool
	pid   int
	boot  int
	heard map[uint64][]netip.Addr
	term  uint64 // as far as it knows
	index uint64
}

func newMemory(t *trap) *memory { return &memory{trap: t, items: map[string]nodes.Answer{}} }

// electAfter is how long the peers need to elect.
const electAfter = 300 * time.Millisecond

// reach reports whether packets come from one node to another and back; m.mu is held.
func (m *memory) reach(a, b string) bool {
	from, to := m.nodes[a], m.nodes[b]
	cut := func(at, peer *memoryNode) bool {
		link := at.state.Links[peer.addr]
		return link.Drop || link.Reject
	}
	return a == b || !cut(from, to) && !cut(to, from)
}

func (m *memory) serves(name string) bool {
	n := m.nodes[name]
	return n != nil && n.alive && n.state.Process != faults.Paused
}

// quorum reports whether a node reaches a majority of the peers; m.mu is held.
func (m *memory) quorum(name string) bool {
	if !m.serves(name) || !m.peers[name] {
		return false
	}
	reached := 0
	for peer := range m.peers {
		if m.serves(peer) && m.reach(name, peer) {
			reached++
		}
	}
	return reached > len(m.peers)/2
}

// leads names the leader that a majority follows now, or nobody; m.mu is held.
func (m *memory) leads() string {
	if m.quorum(m.leader) {
		return m.leader
	}
	if time.Since(m.since) < electAfter {
		return ""
	}
	for _, name := range m.names {
		if m.quorum(name) {
			m.leader, m.term = name, m.term+1
			return name
		}
	}
	return ""
}

// follow is the leader that a node knows of; m.mu is held.
func (m *memory) follow(name string) string {
	leader := m.leads()
	if leader == "" || !m.reach(name, leader) {
		return ""
	}
	n := m.nodes[name]
	n.term, n.index = m.term, m.index
	return leader
}

// begin starts a node's process.
func (m *memory) begin(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.nodes[name]
	m.pids++
	n.alive, n.pid = true, m.pids
	n.boot++
	m.peers[name] = true
	m.since = time.Now()
	m.lives.Add(history.ProcessEvent{Node: name, Kind: history.ProcessStarted, PID: n.pid, At: time.Now()})
	return nil
}

// is reports whether all is as wanted, so that a Set has nothing to do.
func (m *memory) is(want faults.Conditions) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.nodes {
		if m.process(n) != want.Processes[n.Name] {
			return false
		}
		for _, peer := range m.nodes {
			link := want.Links[faults.Pair{From: peer.Name, To: n.Name}]
			if n.state.Links[peer.addr] != link {
				return false
			}
		}
	}
	return true
}

// end ends it, by a signal or by an exit; m.mu is held.
func (m *memory) end(name, signal string) {
	n := m.nodes[name]
	if !n.alive {
		return
	}
	n.alive, m.since = false, time.Now()
	m.lives.Add(history.ProcessEvent{Node: name, Kind: history.ProcessEnded, PID: n.pid, At: time.Now(), Signal: signal})
}

// handlers are the injector of a node's pod.
func (m *memory) handlers(name string) injector.Handlers {
	return injector.Handlers{
		Apply: func(want injector.State) (faults.ProcessState, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			n := m.nodes[name]
			n.state, m.since = want, time.Now()
			if want.Process == faults.Killed {
				m.end(name, "SIGKILL")
			}
			return m.process(n), nil
		},
		Probe: func(p injector.Probe) (injector.Attempts, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			n, saw := m.nodes[name], map[netip.Addr]faults.TCPResult{}
			for _, peer := range m.nodes {
				if peer == n {
					continue
				}
				if !peer.state.Links[n.addr].Drop {
					peer.heard[p.Nonce] = append(peer.heard[p.Nonce], n.addr)
				}
				saw[peer.addr] = faults.TCPTimeout
				if m.reach(name, peer.Name) {
					saw[peer.addr] = faults.TCPOpen
				}
			}
			return injector.Attempts{TCP: saw}, nil
		},
		Heard: func(h injector.Heard) (injector.Hearing, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			n := m.nodes[name]
			return injector.Hearing{Heard: n.heard[h.Nonce], Process: m.process(n)}, nil
		},
	}
}

func (m *memory) process(n *memoryNode) faults.ProcessState {
	if !n.alive {
		return faults.Killed
	}
	return n.state.Process
}

// open starts a pod's injector, and is the stream to it.
func (m *memory) open(name string) io.ReadWriteCloser {
	in, commands := io.Pipe()
	answers, out := io.Pipe()
	go func() {
		out.CloseWithError(injector.Serve(in, out, m.handlers(name)))
	}()
	return m.trap.stream(pipes{answers, commands})
}

// pipes are the two ends of a stream.
type pipes struct {
	*io.PipeReader
	in io.WriteCloser
}

func (p pipes) Write(b []byte) (int, error) { return p.in.Write(b) }
func (p pipes) Close() error                { return errors.Join(p.in.Close(), p.PipeReader.Close()) }

// The runtime.

func (m *memory) Name() string                                      { return "memory" }
func (m *memory) Capabilities() []faults.Capability                 { return pods.Capabilities() }
func (m *memory) Check(context.Context, ...faults.Capability) error { return nil }
func (m *memory) Clean(context.Context) (nodes.Cleaned, error)      { return nodes.Cleaned{}, nil }

func (m *memory) Start(ctx context.Context, spec nodes.Spec) (nodes.Cluster, error) {
	spec = pods.Heard(spec)
	if over, err := m.trap.call(ctx, "Start"); over {
		return nil, err
	}
	m.nodes, m.peers, m.lives = map[string]*memoryNode{}, map[string]bool{}, pods.NewLives()
	m.started++
	var members []pods.Member
	addr := netip.MustParseAddr("10.0.0.1")
	for _, n := range spec.Topology.Nodes() {
		addr = addr.Next()
		m.names = append(m.names, n.Name)
		m.nodes[n.Name] = &memoryNode{Node: n, addr: addr, heard: map[uint64][]netip.Addr{}, state: injector.State{Process: faults.Killed}}
		members = append(members, pods.Member{Node: n, Addr: addr,
			Open: func(ctx context.Context) (io.ReadWriteCloser, error) {
				if over, err := m.trap.call(ctx, "Open"); over {
					return nil, err
				}
				return m.open(n.Name), nil
			},
			Start: func(ctx context.Context, _ nodes.Launch) error {
				if over, err := m.trap.call(ctx, "StartNode"); over {
					return err
				}
				return m.begin(n.Name)
			},
			Died: func(context.Context) error {
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.nodes[n.Name].alive {
					return nil
				}
				return fmt.Errorf("%s has ended", n.Name)
			},
		})
	}
	c := &memoryCluster{m: m}
	var places []nodes.NodeInfo
	for _, p := range members {
		places = append(places, nodes.NodeInfo{Node: p.Node, Addr: p.Addr})
	}
	m.group = pods.NewGroup(spec.Log, pods.LauncherOf(spec.System, places, c.Endpoint), members)
	c.Group = m.group
	err := pods.Each(m.names, func(name string) error { return m.group.Begin(ctx, name, spec.Baseline) })
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return c, nil
}

// memoryCluster has the Set and the Measure of its group.
type memoryCluster struct {
	*pods.Group
	m *memory
}

func (c *memoryCluster) Endpoint(node string) nodes.Endpoint {
	return nodes.Endpoint{Node: node, Dial: func(ctx context.Context) (net.Conn, error) {
		if over, err := c.m.trap.call(ctx, "Dial"); over {
			return nil, err
		}
		c.m.mu.Lock()
		defer c.m.mu.Unlock()
		if !c.m.nodes[node].alive {
			return nil, syscall.ECONNREFUSED
		}
		mine, theirs := net.Pipe()
		return mine, theirs.Close()
	}}
}

func (c *memoryCluster) Set(ctx context.Context, want faults.Conditions) error {
	if c.m.deaf.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	asIs := c.m.is(want)
	if over, err := c.m.trap.call(ctx, "Set"); over {
		c.m.trap.harmless = asIs
		return err
	}
	return c.Group.Set(ctx, want)
}

func (c *memoryCluster) Measure(ctx context.Context) (faults.Measurement, error) {
	if c.m.deaf.Load() {
		<-ctx.Done()
		return faults.Measurement{}, context.Cause(ctx)
	}
	if over, err := c.m.trap.call(ctx, "Measure"); over {
		return faults.Measurement{}, err
	}
	return c.Group.Measure(ctx)
}

func (c *memoryCluster) Watch(ctx context.Context, report func(history.ProcessEvent)) error {
	if over, err := c.m.trap.call(ctx, "Watch"); over {
		return err
	}
	return c.m.lives.Watch(ctx, func(e history.ProcessEvent) {
		if over, _ := c.m.trap.call(ctx, "process event"); !over { // else it is lost
			report(e)
		}
	})
}

func (c *memoryCluster) Exited(ctx context.Context, node string) error {
	if over, err := c.m.trap.call(ctx, "Exited"); over {
		return err
	}
	for {
		c.m.mu.Lock()
		over := !c.m.nodes[node].alive
		c.m.mu.Unlock()
		if over {
			return nil
		}
		sleep(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

func (c *memoryCluster) Logs(ctx context.Context, node string, w io.Writer) error {
	if over, err := c.m.trap.call(ctx, "Logs"); over {
		return err
	}
	_, err := fmt.Fprintf(w, "%s says hello\n", node)
	return err
}

func (c *memoryCluster) Close(ctx context.Context) error {
	if over, err := c.m.trap.call(ctx, "Close"); over {
		return err
	}
	return c.m.close()
}

func (m *memory) close() error {
	m.mu.Lock()
	m.closed++
	m.lives.Close()
	for _, n := range m.nodes {
		n.alive = false
	}
	m.mu.Unlock()
	return m.group.Close()
}
