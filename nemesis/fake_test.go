package nemesis

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// fake is a cluster in memory: Set records, Measure computes the truth, leadership moves
// away from a server that does not run. Its lies prove that the nemesis believes only
// what it measures. It is meant for virtual time.
type fake struct {
	topology topologies.Topology
	started  time.Time

	mu      sync.Mutex
	now     faults.Conditions
	left    map[string]bool
	peers   map[string]bool   // those that vote, by name
	lives   map[string]int    // how often a node came with an empty disk
	leads   map[string]string // who leads, by datacenter
	term    uint64
	applied map[string]uint64 // what servers say of themselves
	events  []string          // what the nemesis did, with virtual times

	deaf     map[faults.Pair]bool // Set does not reach these links
	immortal map[string]bool      // Set does not reach these processes
	quick    bool                 // servers elect by themselves, and not when somebody asks who leads
	stuck    bool                 // nobody ever takes over leadership
	returns  int                  // how often a leader that handed over is elected again
	lazy     bool                 // Transfer does nothing
	takes    string               // which names losses of power take, whatever is asked
	sloth    time.Duration        // what Measure takes
	refuse   error                // what Set answers, and does nothing
	stay     error                // what Leave answers, and does nothing
	shy      map[string]bool      // servers that never join
	clinging bool                 // nobody is taken out of the peer set
	nods     bool                 // every action succeeds and does nothing

	asked   faults.Conditions // by the last Set
	healing map[faults.Pair]faults.Link
	// obey is what Set does when it is asked for conditions; nil does what is asked.
	obey func(want faults.Conditions) faults.Conditions
}

func newFake(topology topologies.Topology) *fake {
	f := &fake{topology: topology, started: time.Now(), left: map[string]bool{}, peers: map[string]bool{}, lives: map[string]int{}, now: topology.Baseline(), leads: map[string]string{},
		term: 1, deaf: map[faults.Pair]bool{}, immortal: map[string]bool{}, healing: map[faults.Pair]faults.Link{}, shy: map[string]bool{}, sloth: 200 * time.Millisecond}
	for _, dc := range topology.DatacenterNames() {
		f.leads[dc] = topology.In(dc).Servers()[0].Name
	}
	f.joinAll()
	return f
}

// dcOf is the datacenter of a node.
func (f *fake) dcOf(node string) string {
	n, _ := f.topology.Node(node)
	return n.DC
}

func (f *fake) note(format string, args ...any) {
	f.events = append(f.events, fmt.Sprintf("%7s  ", time.Since(f.started).Round(10*time.Millisecond))+fmt.Sprintf(format, args...))
}

func (f *fake) Set(ctx context.Context, want faults.Conditions) error {
	time.Sleep(20 * time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := cmpErr(ctx.Err(), f.refuse); err != nil {
		f.note("set refused")
		return err
	}
	f.note("set %s", want)
	for node, was := range f.now.Processes {
		if was == faults.Wiped && want.Processes[node] != faults.Wiped {
			f.lives[node]++
			delete(f.peers, node)
		}
	}
	for l, state := range f.asked.Links {
		if state.Shaped() && !want.Links[l].Shaped() {
			f.healing[l] = state
		}
	}
	f.asked = want.Clone()
	if f.obey != nil {
		want = f.obey(want)
	}
	f.now = want.Clone()
	for node := range f.left {
		if want.Processes[node] != faults.Killed {
			delete(f.left, node)
		}
	}
	f.joinAll()
	for dc, leader := range f.leads {
		if !f.quick || f.process(leader) == faults.Running {
			continue
		}
		time.AfterFunc(time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.process(f.leads[dc]) != faults.Running {
				f.elect(dc, func(string) bool { return true })
			}
		})
	}
	return nil
}

// joinAll makes every server that runs a voter.
func (f *fake) joinAll() {
	for _, n := range f.topology.Nodes() {
		if n.Role != topologies.Client && f.process(n.Name) == faults.Running && !f.shy[n.Name] {
			f.peers[n.Name] = true
		}
	}
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) Measure(ctx context.Context) (faults.Measurement, error) {
	if err := sleep(ctx, f.sloth); err != nil {
		return faults.Measurement{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := faults.Measurement{Links: map[faults.Pair]faults.LinkMeasurement{}, Processes: map[string]faults.ProcessState{},
		Clocks: map[string]faults.ClockMeasurement{}, Disks: map[string]faults.DiskMeasurement{}}
	state := func(l faults.Pair) faults.Link {
		if f.deaf[l] {
			return faults.Link{}
		}
		return f.now.Links[l]
	}
	for _, a := range f.topology.Nodes() {
		for _, b := range f.topology.Nodes() {
			if a != b {
				l := faults.Pair{From: a.Name, To: b.Name}
				back := faults.Pair{From: b.Name, To: a.Name}
				m.Links[l] = seen(state(l), state(back), shaped(f.asked.Links[l], f.asked.Links[back], f.healing[l]))
			}
		}
		if p := f.process(a.Name); p != faults.Running {
			m.Processes[a.Name] = p
		}
		m.Clocks[a.Name] = readClock(f.now.Clocks[a.Name], f.asked.Clocks[a.Name])
		disk := tryDisk(f.now.Disks[a.Name])
		if f.process(a.Name) == faults.PoweredOff {
			disk.LostBy = cmp.Or(f.takes, f.now.Disks[a.Name].Names.String())
		}
		m.Disks[a.Name] = disk
	}
	return m, nil
}

// readClock is what a clock shows that is just as in its state, 10 s after that was asked.
func readClock(s, asked faults.Clock) faults.ClockMeasurement {
	const after, looks = 10 * time.Second, 64
	seen := faults.ClockMeasurement{Read: true, Offset: shownAt(s, after), After: after, Patched: !s.Healthy(),
		Gained: s.Forward + time.Duration(s.Monotonic*float64(after)), Drift: s.Drift, Monotonic: s.Monotonic, Within: 0.0001}
	if asked.Strobe == 0 || s.Healthy() {
		return seen
	}
	for i := range time.Duration(looks) {
		at := after + max(asked.Period*9/4, 40*time.Millisecond)*i/looks
		seen.Looks = append(seen.Looks, faults.ClockSample{After: at, Offset: shownAt(s, at)})
	}
	return seen
}

// shownAt is by how much a wall clock is ahead; a strobe without a period stays ahead.
func shownAt(s faults.Clock, after time.Duration) time.Duration {
	if s.Period > 0 && after/s.Period%2 == 1 {
		return s.Ahead(after)
	}
	return s.Ahead(after) + s.Strobe
}

// tryDisk is what a disk does that is just as asked.
func tryDisk(s faults.Disk) faults.DiskMeasurement {
	seen := faults.DiskMeasurement{Tried: true, ReadTook: s.SlowIO + time.Millisecond, WriteTook: s.SlowIO + time.Millisecond, SyncTook: s.SlowSync + time.Millisecond, PlainTook: time.Millisecond, Kept: !s.Lie && !s.FailSync}
	for _, call := range []struct {
		fails bool
		seen  *string
		errno string
	}{{s.FailRead, &seen.Read, "EIO"}, {s.FailWrite, &seen.Write, "EIO"}, {s.FailSync, &seen.Sync, "EIO"}, {s.Full, &seen.Create, "ENOSPC"}} {
		if call.fails {
			*call.seen = call.errno
		}
	}
	for _, d := range s.Damages {
		seen.Damaged = append(seen.Damaged, faults.DamageMeasurement{Kind: d.Kind, File: strings.ReplaceAll(d.File, "*", "log"), What: "damaged"})
	}
	return seen
}

// seen is what probes see of a link; a train is sent over it if it is to be looked at closer, as for that state.
func seen(there, back, closer faults.Link) faults.LinkMeasurement {
	s := faults.LinkMeasurement{UDP: !there.Drop && !there.Reject, TCP: faults.TCPOpen}
	if closer.Shaped() {
		s.Train = treated(there, closer.Train())
		s.UDP = s.Train.Arrived > 0
	}
	for _, port := range there.Ports.List() {
		if s.Ports == nil {
			s.Ports = map[uint16]faults.PortMeasurement{}
		}
		if !there.Drop {
			s.Ports[port] = faults.PortMeasurement{TCP: faults.TCPTimeout, Segments: 1, Datagrams: 3}
		}
	}
	switch {
	case there.Drop || back.Drop:
		s.TCP = faults.TCPTimeout
	case there.Reject || back.Reject:
		s.TCP = faults.TCPRefused
	}
	return s
}

// shaped is the first that is; none is health.
func shaped(states ...faults.Link) faults.Link {
	return append(slices.DeleteFunc(states, func(s faults.Link) bool { return !s.Shaped() }), faults.Link{})[0]
}

// treated is what a train meets on a link that does just what its state says.
func treated(s faults.Link, train faults.Train) faults.TrainMeasurement {
	sent := train.Count
	const quick = 100 * time.Microsecond
	share := func(n int, p float64) int { return int(math.Round(float64(n) * p)) }
	t := faults.TrainMeasurement{Sent: sent, Least: quick + s.Delay, Median: quick + s.Delay + s.Jitter/2, P90: 2*quick + s.Delay + s.Jitter*9/10, Rate: 40e6}
	if s.Rate > 0 {
		t.Rate = float64(s.Rate)
		const headers = 28
		t.Median += time.Duration(float64(sent*(train.Bytes+headers)) / t.Rate / 2 * float64(time.Second)) // the one in the middle waits for half of them
	}
	if !s.Drop && !s.Reject {
		t.Arrived = sent - share(sent, 1-(1-s.Loss)*(1-s.BurstLoss))
	}
	t.Doubled, t.Damaged, t.Overtaken = share(t.Arrived, s.Duplicate), share(t.Arrived, s.Corrupt), share(t.Arrived, s.Reorder)
	if s.Reorder > 0.1 {
		t.P90 += s.HeldBack()
	}
	if s.Scramble && s.Jitter > 0 {
		t.Overtaken = t.Arrived / 2
	}
	return t
}

// process is the state of a node's process; f.mu is held.
func (f *fake) process(node string) faults.ProcessState {
	switch {
	case f.left[node]:
		return faults.Killed
	case f.immortal[node]:
		return faults.Running
	}
	return f.now.Processes[node]
}

func (f *fake) Endpoint(node string) nodes.Endpoint { return nodes.Endpoint{Node: node} }
func (f *fake) Watch(ctx context.Context, _ func(history.ProcessEvent)) error {
	<-ctx.Done()
	return nil
}
func (f *fake) Logs(context.Context, string, io.Writer) error { return nil }
func (f *fake) Close(context.Context) error                   { return nil }
func (f *fake) Conn(node string) nodes.Conn                   { return fakeClient{fake: f, node: node} }
func (f *fake) Exited(ctx context.Context, node string) error {
	for !f.nods {
		f.mu.Lock()
		down := f.process(node) == faults.Killed
		f.mu.Unlock()
		if down {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Leader elects, one second after the leader has stopped, the next server that runs, if
// a majority does.
func (f *fake) Leader(ctx context.Context, dc string) (string, error) {
	f.mu.Lock()
	leader := f.leads[dc]
	gone := f.process(leader) != faults.Running
	f.mu.Unlock()
	if !gone {
		return leader, nil
	}
	if err := sleep(ctx, time.Second); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stuck || !f.elect(dc, func(string) bool { return true }) {
		return "", errors.New("nobody leads")
	}
	return f.leads[dc], nil
}

func (f *fake) elect(dc string, fits func(string) bool) bool {
	var running []string
	for _, n := range f.topology.In(dc).Nodes() {
		if f.peers[n.Name] && f.process(n.Name) == faults.Running {
			running = append(running, n.Name)
		}
	}
	i := slices.IndexFunc(running, fits)
	if i < 0 || len(running) < majorityOf(len(f.topology.In(dc).Servers())) {
		return false
	}
	f.leads[dc], f.term = running[i], f.term+1
	return true
}

func (f *fake) Burst(ctx context.Context, node string, reads int) error {
	if f.nods {
		return nil
	}
	if err := sleep(ctx, 5*time.Millisecond); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("%d reads at %s, which is %q", reads, node, f.process(node))
	return nil
}

// Forwarded has operations just begun at any time, that last longer than a change.
func (f *fake) Forwarded(_ string, from, to time.Time) int {
	if f.nods || to.Sub(from) == youngest {
		return 0
	}
	return 3
}

type fakeClient struct {
	nodes.Conn // of what the nemesis never asks for
	*fake
	node string
}

func (c fakeClient) Close() {}

func (c fakeClient) Identity(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process(c.node) != faults.Running {
		return "", nodes.Errorf(history.Refused, "it does not run")
	}
	return fmt.Sprint(c.node, "/", c.lives[c.node]), nil
}

func (c fakeClient) Peers(context.Context) (peers []nodes.Peer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.topology.In(c.dcOf(c.node)).Nodes() {
		if c.peers[n.Name] {
			peers = append(peers, nodes.Peer{ID: fmt.Sprint(n.Name, "/", c.lives[n.Name]), Node: n.Name, Voter: true, Leader: n.Name == c.leads[n.DC]})
		}
	}
	return peers, nil
}

func (c fakeClient) RemovePeer(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note("%s removes %s", c.node, id)
	if !c.clinging && !c.nods {
		delete(c.peers, strings.Split(id, "/")[0])
	}
	return nil
}

func (c fakeClient) Observe(context.Context) (history.Observation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := history.Observation{State: history.Follower, Term: c.term, Leader: c.leads[c.dcOf(c.node)], Applied: c.applied[c.node]}
	switch {
	case c.process(c.node) != faults.Running:
		return history.Observation{}, nodes.Errorf(history.Refused, "it does not run")
	case c.leads[c.dcOf(c.node)] == c.node:
		seen.State = history.Leader
	}
	return seen, nil
}

func (c fakeClient) Leave(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stay != nil || c.nods {
		return c.stay
	}
	c.note("%s leaves", c.node)
	c.left[c.node] = true
	if !c.clinging {
		delete(c.peers, c.node)
	}
	return nodes.Errorf(history.ConnectionLost, "it ended before it answered")
}

func (c fakeClient) Transfer(_ context.Context, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nods {
		return nil
	}
	dc := c.dcOf(c.node)
	if c.leads[dc] != c.node {
		return nodes.Errorf(history.NotLeader, "%s leads", c.leads[dc])
	}
	if c.stuck {
		return nodes.Errorf(history.Timeout, "no successor")
	}
	if c.lazy {
		return nil
	}
	if c.returns > 0 {
		c.returns, c.term = c.returns-1, c.term+1
		c.note("leadership comes back to %s", c.node)
		return nil
	}
	c.elect(dc, func(s string) bool { return s == to || to == "" && s != c.node })
	c.note("leadership goes from %s to %s", c.node, c.leads[dc])
	return nil
}

// played is what is left of a run.
type played struct {
	resolved Schedule
	err      error
	events   []history.Event
	faults   []history.Fault
	baseline *history.FaultEvent
	notified []string
}

// play runs a schedule against f, inside a bubble of virtual time.
func play(t *testing.T, ctx context.Context, f *fake, s Schedule) played {
	t.Helper()
	var p played
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := history.Create(path)
	require.NoError(t, err)
	p.resolved, p.err = Play(ctx, s, World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Burst: f.Burst, Forwarded: f.Forwarded,
		Log: log, Notify: func(active []string) { p.notified = append(p.notified, strings.Join(active, ", ")) }})
	require.NoError(t, log.Close())
	p.events, _, err = history.ReadFile(path)
	require.NoError(t, err)
	p.faults, p.baseline, err = history.Faults(p.events)
	require.NoError(t, err)
	return p
}

// story is the run as a text: what the nemesis did, what it marked, what it resolved.
func (p played) story(f *fake) string {
	var out strings.Builder
	out.WriteString(strings.Join(f.events, "\n") + "\n\n")
	for _, e := range p.events {
		m, err := history.ParseFaultEvent(e.Value)
		if err != nil {
			return err.Error()
		}
		m.Evidence = nil // its words and what it shows are in the other fields
		text := new(bytes.Buffer)
		enc := json.NewEncoder(text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m); err != nil {
			return err.Error()
		}
		fmt.Fprintf(&out, "%7s  %s %s", time.Duration(e.Time).Round(10*time.Millisecond), e.F, text)
	}
	fmt.Fprintf(&out, "\n%s", p.resolved)
	return out.String()
}
