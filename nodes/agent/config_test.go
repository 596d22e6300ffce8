package agent

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

const second = time.Second

func TestConfigIsChecked(t *testing.T) {
	good := Config{Name: "n", Bind: netip.MustParseAddr("127.0.0.1")}
	for text, edit := range map[string]func(*Config){
		"no name":           func(c *Config) { c.Name = "" },
		"bind address":      func(c *Config) { c.Bind = netip.Addr{} },
		"advertise address": func(c *Config) { c.Bind = netip.IPv4Unspecified() },
		"multiplier":        func(c *Config) { c.RaftMultiplier = 11 },
		"bootstrap-expect":  func(c *Config) { c.BootstrapExpect = 3 },
		"gossip profile":    func(c *Config) { c.GossipProfile = "slow" },
		`profile "slower"`:  func(c *Config) { c.WANProfile = "slower" },
		"for servers":       func(c *Config) { c.RetryJoinWAN = []string{"10.0.0.1"} },
		"retry-join-wan":    func(c *Config) { c.Server, c.RetryJoinWAN = true, []string{"host"} },
		"retry-join":        func(c *Config) { c.RetryJoin = []string{"host"} },
		`no defect "x"; there are ack-before-commit, cas-checked-by-follower`: func(c *Config) { c.DefectNames = []string{"x"} },
	} {
		c := good
		edit(&c)
		_, err := New(nil, c)
		require.ErrorContains(t, err, text)
	}
	for _, d := range Defects {
		c := good
		c.DefectNames = []string{d.Name}
		_, err := c.complete()
		require.NoError(t, err)
	}
	c := good
	c.RetryJoin = []string{"10.0.0.1", "10.0.0.2:99"}
	s, err := c.complete()
	require.NoError(t, err)
	require.Equal(t, timesFor(1), s.times)
	require.Equal(t, "127.0.0.1:8500", s.http().String())
	require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8301"), netip.MustParseAddrPort("10.0.0.2:99")}, s.seeds)
}

// drawing is a host that has nothing but random numbers.
type drawing struct{ nodes.Host }

func (drawing) Uint64() uint64 { return rand.Uint64() }

func TestWaitParam(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"":           defaultWait,
		"wait=0s":    defaultWait,
		"wait=10s":   10 * second,
		"wait=1000h": maxWait,
	} {
		got, err := (&Agent{host: drawing{}}).waitParam(&http.Request{URL: &url.URL{RawQuery: query}})
		require.NoError(t, err)
		require.GreaterOrEqual(t, got, want, query)
		require.LessOrEqual(t, got, want+want/16, query)
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add("a/b", "keys&separator=/&index=7&wait=3s")
	f.Add("", "recurse&stale")
	f.Add("a", "consistent&stale&dc=dc2&index=-1")
	a := &Agent{host: drawing{}, settings: settings{Config: Config{DC: "dc1"}}}
	f.Fuzz(func(t *testing.T, key, query string) {
		r := &http.Request{URL: &url.URL{Path: "/v1/kv/" + key, RawQuery: query}}
		r.SetPathValue("key", key)
		args, wait, err := a.readRequest(r)
		if err != nil {
			require.Contains(t, []history.Code{history.BadRequest, history.NoPath}, nodes.CodeOf(err))
			return
		}
		require.Contains(t, history.Modes, args.Mode)
		require.NotZero(t, args.Query.Kind)
		require.Equal(t, key, args.Query.Key)
		require.LessOrEqual(t, wait, maxWait+maxWait/16)
		require.Equal(t, wait.Milliseconds(), args.WaitMS)
		if args.MinIndex == 0 {
			require.Zero(t, wait)
		}
	})
}
