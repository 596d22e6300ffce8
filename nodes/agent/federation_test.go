package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// federation is several datacenters on one wire. That at index i is dc(i+1), at 10.0.i.
type federation struct {
	wire *wire
	dcs  []*cluster
}

// startFederation starts datacenters of so many servers and client agents, of which one server of each joins
// one of the first, and waits until all know all.
func startFederation(t *testing.T, dcs, servers, clients int, edits ...func(*Config)) *federation {
	t.Helper()
	f := &federation{wire: newWire()}
	for i := range dcs {
		c := newClusterOn(t, f.wire, fmt.Sprintf("10.0.%d.", i))
		f.dcs = append(f.dcs, c)
		for s := range servers {
			c.start(c.config(fmt.Sprint("s", s+1), s+1, servers), t.TempDir(), append([]func(*Config){func(config *Config) {
				config.DC = f.name(i)
				if s == 0 && i > 0 {
					config.RetryJoinWAN = []string{"10.0.0.1"}
				}
			}}, edits...)...)
		}
		for s := range clients {
			c.start(c.config(fmt.Sprint("c", s+1), servers+s+1, 0), t.TempDir(), append([]func(*Config){func(config *Config) { config.DC = f.name(i) }}, edits...)...)
		}
	}
	for _, c := range f.dcs {
		c.leader(t)
	}
	f.awaitWAN(t)
	return f
}

func (f *federation) name(i int) string { return fmt.Sprint("dc", i+1) }

// nodes lists all that run.
func (f *federation) servers() (out []*node) {
	for _, c := range f.dcs {
		out = append(out, c.servers()...)
	}
	return out
}

// awaitWAN waits until every server takes exactly the running servers for alive.
func (f *federation) awaitWAN(t *testing.T) {
	t.Helper()
	var want []string
	for _, n := range f.servers() {
		want = append(want, wanName(n.name, n.agent.DC)+" "+n.host.ip)
	}
	slices.Sort(want)
	eventually(t, "the pool of all servers is complete", func() error {
		for _, n := range f.servers() {
			if got := n.wanAlive(); !slices.Equal(got, want) {
				return fmt.Errorf("%s of %s knows %v", n.name, n.agent.DC, got)
			}
		}
		return nil
	})
}

// wanAlive lists whom a server takes for alive, with their addresses, sorted.
func (n *node) wanAlive() (names []string) {
	a, err := n.try("GET", "/v1/agent/members?wan", "")
	if err != nil {
		return []string{err.Error()}
	}
	var members []jsonMember
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		return []string{a.body}
	}
	for _, m := range members {
		if m.Status == 1 {
			names = append(names, m.Name+" "+m.Addr)
		}
	}
	slices.Sort(names)
	return names
}

// cut cuts all links between two datacenters.
func (f *federation) cut(a, b int) {
	for _, n := range f.dcs[a].nodes {
		f.wire.cut(n.host.ip, ips(f.dcs[b].nodes)...)
	}
}

// way is the nodes of an answer's hops, with their datacenters where the test gives them.
func (a answer) way(t *testing.T) string {
	t.Helper()
	var names []string
	for _, h := range a.hops(t) {
		names = append(names, h.Node+" "+string(h.Role))
	}
	return strings.Join(names, ", ")
}

// put in another datacenter, which must work.
func (n *node) putIn(t *testing.T, dc, key, value string) answer {
	t.Helper()
	a := n.do(t, "PUT", "/v1/kv/"+key+"?dc="+dc, value)
	require.Equal(t, "true", a.body, "%s", a.code())
	return a
}
