package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"faultline/nodes/agent/internal/gossip"
)

// Config configures an agent. The names and defaults are Consul's.
type Config struct {
	Name            string
	DC              string
	Server          bool
	BootstrapExpect int           // servers: how many make the first peer set; 0 waits to be added
	Bind            netip.Addr    // where to listen
	Advertise       netip.Addr    // the address for the other agents; Bind if it is not set
	Client          netip.Addr    // where the HTTP API listens; 127.0.0.1 if it is not set
	RetryJoin       []string      // IP or IP:PORT of others' gossip
	RetryJoinWAN    []string      // servers: IP or IP:PORT of the gossip of servers of other datacenters
	RaftMultiplier  int           // scales Raft's times; 1 if it is not set
	GossipProfile   string        // of gossip.Profiles; lan if it is not set
	WANProfile      string        // the same of the pool of servers of all datacenters; what belongs to GossipProfile if it is not set
	HTTPPort        uint16        // 8500 if it is not set; so the others
	ServerPort      uint16        // 8300
	SerfPort        uint16        // 8301
	SerfWANPort     uint16        // 8302, of servers
	RemoveDead      bool          // the leader removes servers that failed from the peer set
	SessionTTLMin   time.Duration // the least TTL of a session; 10 s if it is not set
	DefectNames     []string      // of Defects
	Times           *Times        // in place of what RaftMultiplier says, for tests
	Snapshots       SnapshotAge
}

// Times are Raft's, as Consul sets them.
type Times struct {
	Heartbeat   time.Duration // a follower without contact for so long starts an election
	Election    time.Duration
	LeaderLease time.Duration // a leader that reaches no majority for so long steps down
	Commit      time.Duration
}

// SnapshotAge is when Raft takes a snapshot and how much of the log it keeps behind it.
// Zero fields stand for the defaults, which are Consul's.
type SnapshotAge struct {
	Interval  time.Duration // between two checks of the threshold; 30s
	Threshold uint64        // entries since the last snapshot that make a new one due; 8192
	Trailing  uint64        // entries kept behind a snapshot; a follower that lacks more is sent the snapshot; 10240
}

func timesFor(multiplier int) Times {
	m := time.Duration(multiplier)
	return Times{Heartbeat: m * time.Second, Election: m * time.Second,
		LeaderLease: m * 500 * time.Millisecond, Commit: m * 50 * time.Millisecond}
}

// settings is a Config that has been checked and completed.
type settings struct {
	Config
	times      Times
	seeds      []netip.AddrPort
	wanSeeds   []netip.AddrPort
	profile    gossip.Profile
	wanProfile gossip.Profile
	defects    defects
}

func (c Config) complete() (settings, error) {
	s := settings{Config: c}
	if c.Name == "" {
		return s, errors.New("the node has no name")
	}
	if !c.Bind.IsValid() {
		return s, errors.New("the bind address is missing")
	}
	setDefault(&s.DC, "dc1")
	setDefault(&s.Advertise, c.Bind)
	setDefault(&s.Client, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	setDefault(&s.RaftMultiplier, 1)
	setDefault(&s.GossipProfile, "lan")
	setDefault(&s.HTTPPort, 8500)
	setDefault(&s.ServerPort, 8300)
	setDefault(&s.SerfPort, 8301)
	setDefault(&s.SerfWANPort, 8302)
	setDefault(&s.SessionTTLMin, minTTL)
	setDefault(&s.Snapshots.Interval, 30*time.Second)
	setDefault(&s.Snapshots.Threshold, 8192)
	setDefault(&s.Snapshots.Trailing, 10240)
	if s.Advertise.IsUnspecified() {
		return s, fmt.Errorf("others cannot reach %s: an advertise address is needed", s.Advertise)
	}
	if s.RaftMultiplier < 1 || s.RaftMultiplier > 10 {
		return s, fmt.Errorf("raft multiplier %d: want 1 to 10", s.RaftMultiplier)
	}
	if s.Snapshots.Interval < least {
		return s, fmt.Errorf("raft snapshot interval %s: want at least %s", s.Snapshots.Interval, least)
	}
	if s.BootstrapExpect < 0 || s.BootstrapExpect > 0 && !s.Server {
		return s, fmt.Errorf("bootstrap-expect %d: want a number of servers, on a server", s.BootstrapExpect)
	}
	if s.times = timesFor(s.RaftMultiplier); c.Times != nil {
		s.times = *c.Times
	}
	var err error
	if s.profile, err = gossip.ProfileNamed(s.GossipProfile); err != nil {
		return s, err
	}
	setDefault(&s.WANProfile, s.profile.WAN)
	if s.wanProfile, err = gossip.ProfileNamed(s.WANProfile); err != nil {
		return s, err
	}
	if len(c.RetryJoinWAN) > 0 && !s.Server {
		return s, errors.New("retry-join-wan is for servers")
	}
	if s.defects, err = newDefects(s.DefectNames); err != nil {
		return s, err
	}
	if s.seeds, err = parseSeeds("retry-join", c.RetryJoin, s.SerfPort); err != nil {
		return s, err
	}
	s.wanSeeds, err = parseSeeds("retry-join-wan", c.RetryJoinWAN, s.SerfWANPort)
	return s, err
}

// least is the shortest interval that Raft takes.
const least = 5 * time.Millisecond

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func parseSeeds(flag string, texts []string, port uint16) (seeds []netip.AddrPort, err error) {
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil {
			seeds = append(seeds, netip.AddrPortFrom(addr, port))
			continue
		}
		seed, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("%s %q: want IP or IP:PORT", flag, text)
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

func (s settings) bind(port uint16) netip.AddrPort      { return netip.AddrPortFrom(s.Bind, port) }
func (s settings) advertise(port uint16) netip.AddrPort { return netip.AddrPortFrom(s.Advertise, port) }
func (s settings) http() netip.AddrPort                 { return netip.AddrPortFrom(s.Client, s.HTTPPort) }
