// Command agent is one node of the reference system: a small Consul. See package
// faultline/nodes/agent for what it does, and -help for its flags, which are Consul's.
//
//	agent -server -bootstrap-expect 3 -node dc1-s1 -bind 10.0.0.1 -retry-join 10.0.0.2 -data-dir /data
//	agent version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"faultline/nodes/agent"
	"faultline/nodes/agent/gossip"
	"faultline/nodes/agent/oshost"
	"faultline/nodes/programs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if slices.Equal(os.Args[1:], []string{"version"}) {
		fmt.Println(programs.Line("agent"))
		return
	}
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: o.level}))
	host, err := oshost.New(o.dir, log)
	if err != nil {
		return err
	}
	a, err := agent.New(host, o.config)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

type options struct {
	config agent.Config
	dir    string
	level  slog.Level
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	c := &o.config
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&c.Server, "server", false, "vote in Raft and keep data")
	flags.IntVar(&c.BootstrapExpect, "bootstrap-expect", 0, "`servers` that make the first peer set")
	flags.StringVar(&c.DC, "datacenter", "dc1", "`name` of the datacenter")
	flags.StringVar(&c.Name, "node", "", "`name` of this node; the host's name if it is not given")
	flags.TextVar(&c.Bind, "bind", netip.IPv4Unspecified(), "`IP` to listen on")
	flags.TextVar(&c.Advertise, "advertise", netip.Addr{}, "`IP` that others are told; that of -bind if it is not given")
	flags.TextVar(&c.Client, "client", netip.AddrFrom4([4]byte{127, 0, 0, 1}), "`IP` on which the HTTP API listens")
	flags.Var((*list)(&c.RetryJoin), "retry-join", "`IP[:PORT]` of another agent's gossip; may be repeated")
	flags.StringVar(&o.dir, "data-dir", "", "`directory` that outlives the process")
	flags.IntVar(&c.RaftMultiplier, "raft-multiplier", 1, "`factor` on Raft's times, 1 to 10")
	flags.Uint64Var(&c.Snapshots.Threshold, "raft-snapshot-threshold", 0, "`entries` between two snapshots (8192 if it is not given)")
	flags.Uint64Var(&c.Snapshots.Trailing, "raft-trailing-logs", 0, "`entries` kept behind a snapshot (10240 if it is not given)")
	flags.DurationVar(&c.Snapshots.Interval, "raft-snapshot-interval", 0, "`time` between two looks whether one is due (30s if it is not given)")
	flags.TextVar(&o.level, "log-level", slog.LevelInfo, "`level`: debug, info, warn or error")
	flags.Var((*portNumber)(&c.HTTPPort), "http-port", "`port` of the HTTP API (8500 if it is not given)")
	flags.Var((*portNumber)(&c.ServerPort), "server-port", "`port` of Raft and calls (8300 if it is not given)")
	flags.Var((*portNumber)(&c.SerfPort), "serf-lan-port", "`port` of gossip (8301 if it is not given)")
	flags.BoolVar(&c.RemoveDead, "remove-dead", false, "the leader removes servers that failed from the peer set")
	flags.DurationVar(&c.SessionTTLMin, "session-ttl-min", 10*time.Second, "the least `duration` of a session, as Consul's session_ttl_min")
	flags.StringVar(&c.GossipProfile, "gossip-profile", "lan", "gossip timings: "+profiles())
	flags.Var((*list)(&c.DefectNames), "defect", "`name` of a planted bug; may be repeated:\n"+defects())
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.dir == "" {
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

func profiles() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(gossip.Profiles)) {
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
