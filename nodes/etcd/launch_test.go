package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
)

// peerSet plays the members of a cluster: every node that is up answers for all.
type peerSet struct {
	t      *testing.T
	system *System
	all    []nodes.NodeInfo

	mu      sync.Mutex
	up      map[string]bool
	members []member
	lastID  uint64
	refuse  int  // so many changes
	deaf    bool // changes are done, and not answered
	asked   []string
}

func newPeerSet(t *testing.T) *peerSet {
	system, err := New(Options{SnapshotCount: 100, Flags: []string{"--quota-backend-bytes=1000000"}})
	require.NoError(t, err)
	p := &peerSet{t: t, system: system, up: map[string]bool{}}
	for i, role := range []topologies.Role{topologies.Server, topologies.Server, topologies.Server, topologies.Spare} {
		p.all = append(p.all, nodes.NodeInfo{Node: topologies.Node{Name: fmt.Sprintf("n%d", i+1), DC: "dc1", Role: role},
			Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Dir: "/data"})
	}
	return p
}

// launch starts a node, as a runtime does.
func (p *peerSet) launch(name string, kind nodes.StartKind) (nodes.Launch, error) {
	i := slices.IndexFunc(p.all, func(n nodes.NodeInfo) bool { return n.Name == name })
	return p.system.Launch(p.t.Context(), nodes.Start{Kind: kind, Self: p.all[i], All: p.all, Endpoint: p.endpoint})
}

// endpoint connects through memory: a pipe, and a server for it alone.
func (p *peerSet) endpoint(name string) nodes.Endpoint {
	return nodes.Endpoint{Node: name, Dial: func(context.Context) (net.Conn, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.up[name] {
			return nil, fmt.Errorf("%s is down", name)
		}
		ours, theirs := net.Pipe()
		server := httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
		require.NoError(p.t, server.Listener.Close())
		server.Listener = &oneConn{conn: theirs, done: make(chan struct{})}
		server.Start()
		p.t.Cleanup(func() { ours.Close(); server.Close() })
		return ours, nil
	}}
}

// oneConn is a listener of one connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func (p *peerSet) serve(w http.ResponseWriter, r *http.Request) {
	var request memberRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	verb := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	changes := verb == "add" || verb == "remove"
	if changes && p.refuse > 0 {
		p.refuse--
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"message":"etcdserver: unhealthy cluster"}`)
		return
	}
	switch verb {
	case "range", "list":
	case "add":
		p.lastID++
		p.members = append(p.members, member{ID: p.lastID, PeerURLs: request.PeerURLs})
		p.asked = append(p.asked, "add "+strings.Join(request.PeerURLs, " "))
	case "remove":
		p.members = slices.DeleteFunc(p.members, func(m member) bool { return m.ID == request.ID })
		p.asked = append(p.asked, "remove "+hex(request.ID))
	default:
		p.t.Error("nobody plays", r.URL)
	}
	if changes && p.deaf {
		p.deaf = false
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"message":"etcdserver: request timed out"}`)
		return
	}
	answer := map[string]any{"header": map[string]string{"member_id": "1", "revision": "1"}}
	if verb != "range" {
		answer["members"] = p.members
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		p.t.Error(err)
	}
}

// edit changes what is played; those who were asked beside may still be answering.
func (p *peerSet) edit(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// started gives the node of a member its name, and has it answer.
func (p *peerSet) started(names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range names {
		p.up[name] = true
		i := slices.IndexFunc(p.all, func(n nodes.NodeInfo) bool { return n.Name == name })
		for j := range p.members {
			if slices.Contains(p.members[j].PeerURLs, urlOf(p.all[i].Addr, peerPort)) {
				p.members[j].Name = name
			}
		}
	}
}

// found has the servers start, which makes them members.
func (p *peerSet) found() {
	for _, n := range p.all[:3] {
		_, err := p.launch(n.Name, nodes.Founder)
		require.NoError(p.t, err)
		p.edit(func() {
			p.lastID++
			p.members = append(p.members, member{ID: p.lastID, Name: n.Name, PeerURLs: []string{urlOf(n.Addr, peerPort)}})
			p.up[n.Name] = true
		})
	}
}

// flag is the value of one of the launch's.
func flag(t *testing.T, l nodes.Launch, name string) string {
	t.Helper()
	for _, arg := range l.Args {
		if value, ok := strings.CutPrefix(arg, "--"+name+"="); ok {
			return value
		}
	}
	require.Fail(t, "no flag "+name, "%v", l.Args)
	return ""
}

func requireFlags(t *testing.T, l nodes.Launch, dir, state, cluster string) {
	t.Helper()
	require.Equal(t, "/data/"+dir, flag(t, l, "data-dir"))
	require.Equal(t, state, flag(t, l, "initial-cluster-state"))
	require.Equal(t, cluster, flag(t, l, "initial-cluster"))
}

const three = "n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380"

func TestAFounder(t *testing.T) {
	p := newPeerSet(t)
	l, err := p.launch("n1", nodes.Founder)
	require.NoError(t, err)
	require.NoError(t, l.Check())
	require.Equal(t, []string{
		"--name=n1", "--data-dir=/data/member-1",
		"--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://10.0.0.1:2379",
		"--listen-peer-urls=http://0.0.0.0:2380", "--initial-advertise-peer-urls=http://10.0.0.1:2380",
		"--initial-cluster=" + three, "--initial-cluster-state=new",
		"--heartbeat-interval=50", "--election-timeout=500", "--logger=zap", "--snapshot-count=100", "--quota-backend-bytes=1000000",
	}, l.Args)
}

func TestANodeStartsAgain(t *testing.T) {
	p := newPeerSet(t)
	_, err := p.launch("n3", nodes.Again)
	require.ErrorContains(t, err, "n3 starts again, and never started before")
	p.found()
	l, err := p.launch("n3", nodes.Again)
	require.NoError(t, err)
	requireFlags(t, l, "member-1", "new", three)

	p.edit(func() { p.up, p.members = nil, nil }) // nobody can say that it is no member any more
	l, err = p.launch("n3", nodes.Again)
	require.NoError(t, err)
	requireFlags(t, l, "member-1", "new", three)
	require.Empty(t, p.asked)
}

func TestANodeThatLeftStartsAgain(t *testing.T) {
	p := newPeerSet(t)
	p.found()
	p.edit(func() { p.members = p.members[:2] })
	for _, dir := range []string{"member-2", "member-3"} {
		l, err := p.launch("n3", nodes.Again)
		require.NoError(t, err)
		requireFlags(t, l, dir, "existing", three)
		p.started("n3")

		l, err = p.launch("n3", nodes.Again) // it stays
		require.NoError(t, err)
		requireFlags(t, l, dir, "existing", three)
		p.edit(func() { p.members = p.members[:2] })
	}
	require.Equal(t, []string{"add http://10.0.0.3:2380", "add http://10.0.0.3:2380"}, p.asked)
}

// TestANodeThatWasRemoved does not start as who it was, which etcd would end, only because nobody answers.
func TestANodeThatWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeerSet(t)
		p.found()
		c := p.system.client(p.endpoint("n1"))
		defer c.Close()
		require.NoError(t, c.RemovePeer(t.Context(), "3"))
		p.edit(func() { p.up = map[string]bool{} })
		go func() {
			time.Sleep(5 * time.Second)
			p.started("n1")
		}()
		l, err := p.launch("n3", nodes.Again)
		require.NoError(t, err)
		requireFlags(t, l, "member-2", "existing", three)
	})
}

func TestANewMachine(t *testing.T) {
	p := newPeerSet(t)
	p.found()
	p.edit(func() { delete(p.up, "n2") })
	l, err := p.launch("n2", nodes.Fresh)
	require.NoError(t, err)
	requireFlags(t, l, "member-2", "existing", three)

	// It is gone before it started. The one after it is somebody else again.
	l, err = p.launch("n2", nodes.Fresh)
	require.NoError(t, err)
	requireFlags(t, l, "member-3", "existing", three)

	// One that was announced, and did not come so far as to have a name, starts with the members of now.
	p.edit(func() {
		p.members = append(p.members, member{ID: 70, Name: "x", PeerURLs: []string{"http://10.0.0.9:2380"}})
	})
	l, err = p.launch("n2", nodes.Again)
	require.NoError(t, err)
	requireFlags(t, l, "member-3", "existing", three+",x=http://10.0.0.9:2380")
	require.Equal(t, []string{"remove 2", "add http://10.0.0.2:2380", "remove 4", "add http://10.0.0.2:2380"}, p.asked)
}

func TestASpare(t *testing.T) {
	p := newPeerSet(t)
	p.found()
	p.edit(func() { p.refuse = 2 })
	l, err := p.launch("n4", nodes.Joiner)
	require.NoError(t, err)
	requireFlags(t, l, "member-2", "existing", three+",n4=http://10.0.0.4:2380")
}

// TestAnAnswerThatIsLost: the member that was added all the same is the node's.
func TestAnAnswerThatIsLost(t *testing.T) {
	p := newPeerSet(t)
	p.found()
	p.edit(func() { p.deaf = true })
	l, err := p.launch("n4", nodes.Joiner)
	require.NoError(t, err)
	requireFlags(t, l, "member-2", "existing", three+",n4=http://10.0.0.4:2380")
	require.Equal(t, []string{"add http://10.0.0.4:2380"}, p.asked)
	require.Len(t, p.members, 4)
}

func TestNobodyTakesANodeIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeerSet(t)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 15*time.Second, fmt.Errorf("the time was up"))
		defer cancel()
		_, err := p.system.Launch(ctx, nodes.Start{Kind: nodes.Joiner, Self: p.all[3], All: p.all, Endpoint: p.endpoint})
		require.Regexp(t, `nobody took n4 in: the time was up; the last answer: asked n[123]: .*n[123] is down`, err.Error()) // whoever was asked last
	})
}

// TestANewcomerIsWaitedFor: it starts with a list of members, which must not change before it has.
func TestANewcomerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeerSet(t)
		p.found()
		_, err := p.launch("n4", nodes.Joiner)
		require.NoError(t, err)
		go func() {
			time.Sleep(time.Second)
			p.started("n4")
		}()
		began := time.Now()
		c := p.system.client(p.endpoint("n1"))
		defer c.Close()
		require.NoError(t, c.RemovePeer(t.Context(), "3"))
		require.InDelta(t, time.Second, time.Since(began), float64(2*startPoll))

		// One that never starts holds nobody up for long.
		p.edit(func() { p.members[2].Name = "" })
		began = time.Now()
		require.NoError(t, c.RemovePeer(t.Context(), "2"))
		require.InDelta(t, startWithin, time.Since(began), float64(2*startPoll))
	})
}
