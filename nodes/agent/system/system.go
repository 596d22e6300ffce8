// Package system is the reference agent as a system under test: how its nodes are started, by the
// flags of cmd/agent, and that they are asked as a Consul is (package consul).
//
//	outcome, err := faultline.Run(ctx, scenario, faultline.Options{System: system.New(system.Options{RaftMultiplier: 2})})
//
// It is not the agent: that is package agent.
package system

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"faultline/nodes"
	agentflags "faultline/nodes/agent/flags"
	"faultline/nodes/consul"
	"faultline/nodes/programs"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Options are how the reference agent is started and asked.
type Options struct {
	Defects        []string `yaml:"-"` // planted bugs to start it with, by name
	RaftMultiplier int      `yaml:"-"` // scales Raft's timeouts, as Consul's raft_multiplier; 0 is the agent's default
	Extra          []string `yaml:"-"` // more arguments for every node
	Hops           bool     `yaml:"-"` // clients ask for the nodes that an answer came through
	// SnapshotThreshold is how many entries a server writes between two snapshots of its
	// store, as Consul's raft_snapshot_threshold. A server then looks every second and keeps
	// as many entries behind a snapshot, so that who missed more is sent the snapshot. 0 is
	// the agent's default.
	SnapshotThreshold int `yaml:"-"`
	// Gossip and GossipWAN are timings of gossip within a datacenter and between several, by name: lan, wan or fast,
	// which finds failures within seconds, for runs that cannot wait. Empty: lan and wan, as a Consul has them.
	Gossip    string `yaml:"gossip,omitempty"`
	GossipWAN string `yaml:"gossip-wan,omitempty"`
}

// Check refuses timings that the agent does not have.
func (o Options) Check() error {
	for _, name := range []string{o.Gossip, o.GossipWAN} {
		if name != "" && !slices.Contains(agentflags.GossipProfiles(), name) {
			return fmt.Errorf("no gossip timings %q; there are %s", name, strings.Join(agentflags.GossipProfiles(), ", "))
		}
	}
	return nil
}

// New is the reference agent.
func New(options Options) nodes.System { return agent{options} }

type agent struct{ options Options }

func (agent) Name() string { return "agent" }

// Facts are those of Consul's API; the log and snapshots have checksums (package storage of the agent).
func (agent) Facts() nodes.Facts {
	f := consul.Facts()
	f.Ops = append(f.Ops, history.OpAppend)
	f.Logs, f.Snapshots = []string{"raft/*"}, []string{"raft/snapshots/*"}
	return f
}

func (agent) Image(ctx context.Context) (nodes.Image, error) {
	path, err := programs.Agent.Path(ctx)
	return nodes.Image{Program: path}, err
}

// Ready is an error if Image would surely fail.
func (agent) Ready(ctx context.Context) error { return programs.Agent.Ready(ctx) }

func (a agent) Open(at nodes.Endpoint) nodes.Conn {
	return consul.NewClient(at, consul.ClientOptions{Hops: a.options.Hops})
}

// Launch implements nodes.System.
func (a agent) Launch(_ context.Context, s nodes.Start) (nodes.Launch, error) {
	return nodes.Args(a.args(s.Self, s.All)...), nil
}

// args starts a node that finds the servers of its datacenter by address, and a server
// that waits until all of them are there before they elect a leader. A spare finds them
// too, and waits until their leader takes it in.
func (a agent) args(self nodes.NodeInfo, all []nodes.NodeInfo) []string {
	args := []string{
		"-node", self.Name,
		"-datacenter", self.DC,
		"-bind", self.Addr.String(),
		"-advertise", self.Addr.String(),
		"-client", "0.0.0.0",
		"-data-dir", self.Dir,
		"-session-ttl-min", consul.LeastTTL.String(),
	}
	servers := 0
	for _, p := range all {
		if p.Role != topologies.Server || p.DC != self.DC {
			continue
		}
		servers++
		if p.Name != self.Name {
			args = append(args, "-retry-join", p.Addr.String())
		}
	}
	if self.Role != topologies.Client {
		for _, addr := range consul.WANSeeds(self, all) {
			args = append(args, "-retry-join-wan", addr)
		}
	}
	switch self.Role {
	case topologies.Server:
		args = append(args, "-server", "-bootstrap-expect", strconv.Itoa(servers))
	case topologies.Spare:
		args = append(args, "-server")
	}
	if n := a.options.SnapshotThreshold; n > 0 {
		args = append(args, "-raft-snapshot-threshold", strconv.Itoa(n), "-raft-trailing-logs", strconv.Itoa(n),
			"-raft-snapshot-interval", "1s")
	}
	if a.options.RaftMultiplier > 0 {
		args = append(args, "-raft-multiplier", strconv.Itoa(a.options.RaftMultiplier))
	}
	if name := a.options.Gossip; name != "" {
		args = append(args, "-gossip-profile", name)
	}
	if name := a.options.GossipWAN; name != "" {
		args = append(args, "-gossip-wan-profile", name)
	}
	for _, name := range a.options.Defects {
		args = append(args, "-defect", name)
	}
	return append(args, a.options.Extra...)
}
