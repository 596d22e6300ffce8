// Package flags is the command line of the reference agent, as Consul's where it has the
// same feature. Whoever starts agents without a process parses the same lines by it.
package flags

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"faultline/nodes/agent"
	"faultline/nodes/agent/internal/gossip"
)

// Options is what a command line says.
type Options struct {
	Config agent.Config
	Dir    string     // that outlives the process
	Level  slog.Level // of what is logged
}

// Parse reads a command line, without the program's name, and writes help and mistakes to
// out. The error is flag.ErrHelp if help was asked for. An agent that is given no name has
// the host's.
func Parse(args []string, out io.Writer) (Options, error) {
	var o Options
	c := &o.Config
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&c.Server, "server", false, "vote in Raft and keep data")
	flags.IntVar(&c.BootstrapExpect, "bootstrap-expect", 0, "`servers` that make the first peer set")
	flags.StringVar(&c.DC, "datacenter", "dc1", "`name` of the datacenter")
	flags.StringVar(&c.Name, "node", "", "`name` of this node; the host's name if it is not given")
	flags.TextVar(&c.Bind, "bind", netip.IPv4Unspecified(), "`IP` to listen on")
	flags.TextVar(&c.Advertise, "advertise", netip.Addr{}, "`IP` for the other agents; that of -bind if it is not given")
	flags.TextVar(&c.Client, "client", netip.AddrFrom4([4]byte{127, 0, 0, 1}), "`IP` on which the HTTP API listens")
	flags.Var((*list)(&c.RetryJoin), "retry-join", "`IP[:PORT]` of another agent's gossip; may be repeated")
	flags.Var((*list)(&c.RetryJoinWAN), "retry-join-wan", "`IP[:PORT]` of the gossip of a server of another datacenter; may be repeated")
	flags.StringVar(&o.Dir, "data-dir", "", "`directory` that outlives the process")
	flags.IntVar(&c.RaftMultiplier, "raft-multiplier", 1, "`factor` on Raft's times, 1 to 10")
	flags.Uint64Var(&c.Snapshots.Threshold, "raft-snapshot-threshold", 0, "`entries` between two snapshots (8192 if it is not given)")
	flags.Uint64Var(&c.Snapshots.Trailing, "raft-trailing-logs", 0, "`entries` kept behind a snapshot (10240 if it is not given)")
	flags.DurationVar(&c.Snapshots.Interval, "raft-snapshot-interval", 0, "`time` between two looks whether one is due (30s if it is not given)")
	flags.TextVar(&o.Level, "log-level", slog.LevelInfo, "`level`: debug, info, warn or error")
	flags.Var((*portNumber)(&c.HTTPPort), "http-port", "`port` of the HTTP API (8500 if it is not given)")
	flags.Var((*portNumber)(&c.ServerPort), "server-port", "`port` of Raft and calls (8300 if it is not given)")
	flags.Var((*portNumber)(&c.SerfPort), "serf-lan-port", "`port` of gossip (8301 if it is not given)")
	flags.Var((*portNumber)(&c.SerfWANPort), "serf-wan-port", "`port` of the gossip of the servers of all datacenters (8302 if it is not given)")
	flags.BoolVar(&c.RemoveDead, "remove-dead", false, "the leader removes servers that failed from the peer set")
	flags.DurationVar(&c.SessionTTLMin, "session-ttl-min", 10*time.Second, "the least `duration` of a session, as Consul's session_ttl_min")
	flags.StringVar(&c.GossipProfile, "gossip-profile", "lan", "gossip timings: "+profiles())
	flags.StringVar(&c.WANProfile, "gossip-wan-profile", "", "`name` of the gossip timings between datacenters, of the same list; wan beside lan if it is not given")
	flags.Var((*list)(&c.DefectNames), "defect", "`name` of a planted bug; may be repeated:\n"+defects())
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.Dir == "" {
		return o, errors.New("-data-dir is missing")
	}
	if c.Name == "" {
		var err error
		if c.Name, err = os.Hostname(); err != nil {
			return o, err
		}
	}
	return o, nil
}

// GossipProfiles lists the names of gossip timings.
func GossipProfiles() []string { return slices.Sorted(maps.Keys(gossip.Profiles)) }

func profiles() string {
	var out []string
	for _, name := range GossipProfiles() {
		p := gossip.Profiles[name]
		out = append(out, name+" ("+p.Doc+")")
	}
	return strings.Join(out, ", ")
}

func defects() string {
	var out []string
	for _, d := range agent.Defects {
		out = append(out, d.Name+": "+d.Doc)
	}
	return strings.Join(out, "\n")
}

// list is a flag that may be given many times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

type portNumber uint16

func (p *portNumber) String() string { return strconv.Itoa(int(*p)) }

func (p *portNumber) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no port", s)
	}
	*p = portNumber(n)
	return nil
}
