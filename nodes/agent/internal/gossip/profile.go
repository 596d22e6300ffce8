package gossip

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// Profile is a set of gossip timings, chosen by name.
type Profile struct {
	Name string
	Doc  string
	// ReconnectInterval is how often the pool tries to reconnect to members that are not alive.
	ReconnectInterval time.Duration
	// LeavePropagateDelay is how long a node that leaves stays up after it has said so, as Serf's.
	LeavePropagateDelay time.Duration
	// WAN is the profile of the pool of the servers of all datacenters, beside a pool with this one.
	WAN  string
	base func() *memberlist.Config
	edit func(*memberlist.Config)
}

// Profiles lists them by name.
var Profiles = map[string]Profile{
	"lan": {Name: "lan", Doc: "memberlist's and Consul's defaults for a LAN", ReconnectInterval: 3 * time.Second, LeavePropagateDelay: time.Second,
		WAN: "wan", base: memberlist.DefaultLANConfig,
		edit: func(c *memberlist.Config) { c.TCPTimeout = 3 * time.Second }},
	"wan": {Name: "wan", Doc: "memberlist's and Consul's defaults for a WAN: finds failures within 30 to 180 s", ReconnectInterval: 5 * time.Second, LeavePropagateDelay: time.Second,
		WAN: "wan", base: memberlist.DefaultWANConfig,
		edit: func(c *memberlist.Config) { c.TCPTimeout = 10 * time.Second }},
	"wan-fast": {Name: "wan-fast", Doc: "finds failures within 4 to 8 s at round trips of up to a second, for runs of a minute", ReconnectInterval: 2 * time.Second, LeavePropagateDelay: time.Second,
		WAN: "wan-fast", base: memberlist.DefaultWANConfig,
		edit: func(c *memberlist.Config) {
			c.TCPTimeout = 3 * time.Second
			c.ProbeInterval, c.ProbeTimeout = time.Second, time.Second
			c.GossipInterval = 200 * time.Millisecond
			c.PushPullInterval = 15 * time.Second
			c.SuspicionMult = 4
			c.GossipToTheDeadTime = 15 * time.Second
		}},
	"fast": {Name: "fast", Doc: "finds failures within about a second, for short tests", ReconnectInterval: time.Second, LeavePropagateDelay: 200 * time.Millisecond,
		WAN: "fast", base: memberlist.DefaultLANConfig,
		edit: func(c *memberlist.Config) {
			c.TCPTimeout = time.Second
			c.ProbeInterval, c.ProbeTimeout = 250*time.Millisecond, 125*time.Millisecond
			c.GossipInterval = 50 * time.Millisecond
			c.PushPullInterval = 5 * time.Second
			c.SuspicionMult = 3
			c.GossipToTheDeadTime = 10 * time.Second
		}},
}

// ProfileNamed finds a profile.
func ProfileNamed(name string) (Profile, error) {
	p, ok := Profiles[name]
	if !ok {
		return Profile{}, fmt.Errorf("no gossip profile %q; there are %s", name,
			strings.Join(slices.Sorted(maps.Keys(Profiles)), ", "))
	}
	return p, nil
}
