package nemesis

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

const (
	// watchEvery is the pause between two looks at a server: aims are off by that much.
	watchEvery = 50 * time.Millisecond
	// watchWithin is how long a server has to answer; who does not is one that was lost.
	watchWithin = 400 * time.Millisecond
)

// watcher looks at every server all the time, each by itself so that one that hangs delays nobody, and keeps what
// steps wait for: who leads and who led, and the events.
type watcher struct {
	world   World
	members bool // the peer set is looked at too
	stop    context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.Mutex
	looks  map[string]history.Observation // the latest; empty of who did not answer
	known  map[string]history.Observation // the latest answers
	reigns []reign                        // in the order of their terms
	peers  []nodes.Peer
	events map[string][]time.Time
}

// reign is a server that was seen to lead in a term.
type reign struct {
	server string
	term   uint64
	at     time.Time // when it was first seen
	lost   bool
}

// watched is the datacenters whose servers are to be watched for a schedule to be played, and whether their peers are, too.
func (s Schedule) watched(t topologies.Topology) map[string]bool {
	all := map[string]bool{}
	for _, step := range s.Steps {
		word, dc := step.withDefaults().Target.Word, step.datacenter(t)
		if dc != "" && (step.waits() || isRole(word) && word != Primary || wakesAfter(step.Fault) > 0) {
			all[dc] = all[dc] || step.When.Event == ConfigChange
		}
	}
	return all
}

// watch begins to look; close ends it.
func watch(ctx context.Context, world World, members bool) *watcher {
	w := &watcher{world: world, members: members, looks: map[string]history.Observation{}, known: map[string]history.Observation{},
		events: map[string][]time.Time{}}
	ctx, w.stop = context.WithCancel(ctx)
	for _, n := range world.Topology.In(world.dc).Nodes() {
		if n.Role != topologies.Client {
			w.ended.Go(func() {
				for ctx.Err() == nil {
					w.look(ctx, n.Name)
					_ = sleep(ctx, watchEvery)
				}
			})
		}
	}
	return w
}

func (w *watcher) close() {
	if w != nil {
		w.stop()
		w.ended.Wait()
	}
}

func (w *watcher) look(ctx context.Context, server string) {
	asking, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	seen, err := w.world.Conn(server).Observe(asking)
	if ctx.Err() != nil {
		return
	}
	var peers []nodes.Peer
	if err == nil && seen.State == history.Leader && w.members {
		if op, err := membersOf(w.world, server); err == nil {
			peers, _ = op.Peers(asking) // who cannot say is asked again soon
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.looks[server] = history.Observation{}
	} else {
		w.looks[server], w.known[server] = seen, seen
	}
	w.note(server, seen, err == nil)
	if peers != nil && w.reigns[len(w.reigns)-1].server == server {
		w.notePeers(peers)
	}
}

// note keeps what a look says of who leads.
func (w *watcher) note(server string, seen history.Observation, answered bool) {
	last := &reign{lost: true}
	if n := len(w.reigns); n > 0 {
		last = &w.reigns[n-1]
	}
	leads := answered && seen.State == history.Leader
	switch {
	case leads && (len(w.reigns) == 0 || seen.Term > last.term || seen.Term == 0 && (last.lost || last.server != server)):
		if len(w.reigns) > 0 {
			w.happened(LeaderElected)
		}
		w.reigns = append(w.reigns, reign{server: server, term: seen.Term, at: time.Now()})
	case leads && server == last.server && seen.Term == last.term:
		last.lost = false
	case server == last.server && !last.lost:
		last.lost = true
		w.happened(LeaderLost)
	}
}

func (w *watcher) notePeers(peers []nodes.Peer) {
	peers = slices.Clone(peers)
	for i := range peers {
		peers[i].Leader = false // who leads is no part of the set
	}
	slices.SortFunc(peers, func(a, b nodes.Peer) int { return cmp.Compare(a.ID, b.ID) })
	if w.peers != nil && !slices.Equal(w.peers, peers) {
		w.happened(ConfigChange)
	}
	w.peers = peers
}

func (w *watcher) happened(event string) { w.events[event] = append(w.events[event], time.Now()) }

// leaders are who leads, if anybody is seen to, and who led before that; w.mu is held.
func (w *watcher) leaders() (now, before string) {
	n := len(w.reigns)
	if n == 0 {
		return "", ""
	}
	last := w.reigns[n-1]
	if last.lost {
		return "", last.server
	}
	for _, r := range slices.Backward(w.reigns[:n-1]) {
		if r.server != last.server {
			return last.server, r.server
		}
	}
	return last.server, ""
}

// changed reports whether another server leads than at first, or one did meanwhile; w.mu is held.
func (w *watcher) changed() bool {
	return slices.ContainsFunc(w.reigns, func(r reign) bool { return r.server != w.reigns[0].server })
}

// since is from when on the last leader was seen to lead.
func (w *watcher) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reigns) == 0 {
		return time.Time{}
	}
	return w.reigns[len(w.reigns)-1].at
}

// await waits until somebody is seen to lead for whom fits is true; not ok if that takes too long, or nobody watches.
func (w *watcher) await(ctx context.Context, fits func(leader string) bool) (leader string, ok bool) {
	if w == nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, actWithin)
	defer cancel()
	for sleep(ctx, watchEvery/5) == nil {
		if leader, err := w.role(Primary, nil); err == nil && fits(leader) {
			return leader, true
		}
	}
	return "", false
}

// count is how often an event has come so far.
func (w *watcher) count(event string) int {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events[event])
}

// came is when a step's trigger came for the first time after so many; not ok if it has not.
func (w World) came(s Step, after int) (at time.Time, ok bool) {
	if s.When.Event == OpenOperations {
		return time.Now(), w.openOperations(s) >= s.When.Least
	}
	return w.watcher.came(s.When.Event, after)
}

func (w *watcher) came(event string, after int) (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all := w.events[event]; len(all) > after {
		return all[after], true
	}
	return at, false
}
