package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/oshost"
	"faultline/workloads/history"
)

// atMost bounds every wait; a run that works waits a small part of it.
const atMost = time.Minute

// testTimes are shorter than Consul's, and long enough for a machine that is busy.
var testTimes = Times{Heartbeat: 700 * time.Millisecond, Election: 700 * time.Millisecond,
	LeaderLease: 700 * time.Millisecond, Commit: 20 * time.Millisecond}

// cluster is a datacenter whose agents run in this process, each on an address of its
// own, on a network in memory and in virtual time.
type cluster struct {
	t      *testing.T
	prefix string
	wire   *wire
	seeds  []string
	nodes  []*node
}

// node is one start of an agent.
type node struct {
	name   string
	config Config
	dir    string
	wire   *wire
	host   *wireHost
	agent  *Agent
	said   *lockedBuffer
	ended  chan struct{}
	err    error // of Run, once it has ended
}

// newCluster starts no agent.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	return newClusterOn(t, newWire(), "10.0.0.")
}

func newClusterOn(t *testing.T, w *wire, prefix string) *cluster {
	t.Helper()
	c := &cluster{t: t, wire: w, prefix: prefix}
	c.seeds = []string{c.prefix + "1", c.prefix + "2", c.prefix + "3"}
	t.TempDir() // the first of a test is what removes all of them, and cleanups run from the last to the first: so after the agents have ended
	t.Cleanup(func() {
		var all sync.WaitGroup
		for _, n := range c.nodes {
			all.Go(func() { n.stop(t) })
		}
		all.Wait()
		c.wire.Net.End("10.0.0.250")
		time.Sleep(time.Minute) // in virtual time: what libraries left behind ends by its own limits
		if t.Failed() {
			for _, n := range c.nodes {
				t.Logf("%s said:\n%s", n.name, n.said)
			}
		}
	})
	return c
}

// startCluster starts servers s1, s2, … and client agents c1, c2, …, and waits for a
// leader that everybody knows.
func startCluster(t *testing.T, servers, clients int, edits ...func(*Config)) *cluster {
	t.Helper()
	c := newCluster(t)
	for i := range servers {
		c.start(c.config(fmt.Sprint("s", i+1), i+1, servers), t.TempDir(), edits...)
	}
	for i := range clients {
		c.start(c.config(fmt.Sprint("c", i+1), servers+i+1, 0), t.TempDir(), edits...)
	}
	c.leader(t)
	return c
}

// config is that of the agent at the n-th address: a server that expects so many, or a
// client agent if that is 0.
func (c *cluster) config(name string, n, expect int) Config {
	addr := netip.MustParseAddr(fmt.Sprint(c.prefix, n))
	times := testTimes
	return Config{Name: name, Server: expect > 0, BootstrapExpect: expect, Bind: addr, Client: addr,
		RetryJoin: c.seeds, GossipProfile: "fast", Times: &times}
}

func (c *cluster) start(config Config, dir string, edits ...func(*Config)) *node {
	c.t.Helper()
	for _, edit := range edits {
		edit(&config)
	}
	n := &node{name: config.Name, config: config, dir: dir, wire: c.wire, said: &lockedBuffer{}, ended: make(chan struct{})}
	inner, err := oshost.New(dir, slog.New(slog.NewTextHandler(n.said, nil)))
	require.NoError(c.t, err)
	n.host = &wireHost{Host: inner, wire: c.wire, ip: config.Bind.String()}
	n.agent, err = New(n.host, config)
	require.NoError(c.t, err)
	go func() {
		n.err = n.agent.Run(context.Background())
		n.wire.Net.End(n.host.ip) // as of a process
		close(n.ended)
	}()
	c.nodes = append(c.nodes, n)
	return n
}

// restart starts a node that has ended once more, on the same directory.
func (c *cluster) restart(n *node, edits ...func(*Config)) *node {
	c.nodes = slices.DeleteFunc(c.nodes, func(m *node) bool { return m == n })
	return c.start(n.config, n.dir, edits...)
}

// leader waits until one server leads, is ready, and every running server follows it.
func (c *cluster) leader(t *testing.T) (leader *node) {
	t.Helper()
	eventually(t, "there is a leader", func() error {
		leader = nil
		for _, n := range c.servers() {
			if s := n.agent.server.Load(); s == nil {
				return fmt.Errorf("%s is starting", n.name)
			} else if l := s.lead.Load(); l != nil && l.holds() && closed(l.ready) {
				leader = n
			}
		}
		if leader == nil {
			return fmt.Errorf("nobody leads")
		}
		for _, n := range c.servers() {
			if at := n.agent.server.Load().leaderAddr(); at != leader.agent.rpcAddr() {
				return fmt.Errorf("%s follows %q", n.name, at)
			}
		}
		return nil
	})
	return leader
}

// servers lists those that run.
func (c *cluster) servers() (out []*node) {
	for _, n := range c.nodes {
		if n.config.Server && !closed(n.ended) {
			out = append(out, n)
		}
	}
	return out
}

func (c *cluster) followers(t *testing.T) []*node {
	t.Helper()
	leader := c.leader(t)
	return slices.DeleteFunc(c.servers(), func(n *node) bool { return n == leader })
}

// stop shuts an agent down, which it must bear at any time.
func (n *node) stop(t *testing.T) {
	t.Helper()
	go n.agent.Shutdown()
	n.awaitEnd(t)
}

func (n *node) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-n.ended:
		require.NoError(t, n.err, "%s", n.name)
	case <-time.After(atMost):
		require.Fail(t, "an agent does not end", "%s", n.name)
	}
}

// answer is an HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (n *node) httpClient() *http.Client {
	return &http.Client{Timeout: atMost, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
		return n.wire.Net.Dial(ctx, "10.0.0.250", addr)
	}}}
}

// try makes a request of the node's API.
func (n *node) try(method, path, body string) (answer, error) {
	return n.tryWith(context.Background(), method, path, body)
}

func (n *node) tryWith(ctx context.Context, method, path, body string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+n.agent.settings.http().String()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set(nodes.HeaderWantHops, "yes")
	response, err := n.httpClient().Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

func (n *node) do(t *testing.T, method, path, body string) answer {
	t.Helper()
	a, err := n.try(method, path, body)
	require.NoError(t, err)
	return a
}

// put writes a key and returns its modify index.
func (n *node) put(t *testing.T, key, value string) uint64 {
	t.Helper()
	a := n.do(t, "PUT", "/v1/kv/"+key, value)
	require.Equal(t, "true", a.body)
	return a.index(t)
}

// get reads a key, in a mode given as a query.
func (n *node) get(t *testing.T, key, query string) jsonEntry {
	t.Helper()
	a := n.do(t, "GET", "/v1/kv/"+key+"?"+query, "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.entries(t)[0]
}

func (a answer) index(t *testing.T) uint64 {
	t.Helper()
	index, err := strconv.ParseUint(a.header.Get(nodes.HeaderIndex), 10, 64)
	require.NoError(t, err)
	return index
}

func (a answer) entries(t *testing.T) []jsonEntry { return decode[[]jsonEntry](t, a.body) }

func (a answer) hops(t *testing.T) []history.Hop {
	t.Helper()
	return decode[[]history.Hop](t, a.header.Get(nodes.HeaderHops))
}

func (a answer) code() history.Code { return history.Code(a.header.Get(nodes.HeaderError)) }

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &v), "%s", text)
	return v
}

// awaitValue waits until a node's own copy holds a value.
func (n *node) awaitValue(t *testing.T, key, value string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s=%s at %s", key, value, n.name), func() error {
		a, err := n.try("GET", "/v1/kv/"+key+"?stale&raw", "")
		if err == nil && (a.status != http.StatusOK || a.body != value) {
			return fmt.Errorf("%d %q", a.status, a.body)
		}
		return err
	})
}

// awaitPeers waits until a node knows exactly these servers as peers.
func (n *node) awaitPeers(t *testing.T, peers ...*node) {
	t.Helper()
	var want []string
	for _, p := range peers {
		want = append(want, p.agent.rpcAddr())
	}
	slices.Sort(want)
	eventually(t, fmt.Sprintf("peers %v at %s", want, n.name), func() error {
		a, err := n.try("GET", "/v1/status/peers", "")
		if err != nil {
			return err
		}
		var got []string
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			return fmt.Errorf("peers %v", got)
		}
		return nil
	})
}

// eventually waits until check has no error.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(atMost); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = check(); last == nil {
			return
		}
	}
	require.NoError(t, last, "%s; waited %s", what, atMost)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

func escape(key string) string { return (&url.URL{Path: key}).EscapedPath() }

// lockedBuffer takes the log of one agent.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
