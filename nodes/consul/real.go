package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"faultline/nodes"
	"faultline/topologies"
)

// RealOptions are how a Consul is started that the user has. None comes with Faultline.
type RealOptions struct {
	// Binary is the path of consul, or its name in PATH; "consul" if empty.
	Binary            string `yaml:"binary,omitempty"`
	RaftMultiplier    int    `yaml:"-"` // raft_multiplier; 0 is Consul's default
	SnapshotThreshold int    `yaml:"-"` // raft_snapshot_threshold; 0 is Consul's default
	// CleanupDeadServers lets autopilot remove servers that are away, as Consul does by default.
	// Scenarios that count on a server coming back as it was set it to false.
	CleanupDeadServers *bool `yaml:"cleanup-dead-servers,omitempty"`
	// ServerStabilization is how long a server that joins must be well before it votes, as
	// Go writes durations; empty is Consul's default, 10s.
	ServerStabilization string `yaml:"server-stabilization,omitempty"`
}

// Real is a Consul that the user has, asked by the same client as the reference agent. It does
// not say when it was started, nor what a compare-and-set found.
func Real(o RealOptions) nodes.System { return real{o} }

type real struct{ options RealOptions }

func (real) Name() string { return "consul" }

// Facts are those of Consul's API, with the time that autopilot takes to give a newcomer its vote.
func (r real) Facts() nodes.Facts {
	f := Facts()
	f.MemberChange = stabilization
	if d, err := time.ParseDuration(r.options.ServerStabilization); err == nil {
		f.MemberChange = d
	}
	f.MemberChange += 2 * time.Second // to find each other
	return f
}

const stabilization = 10 * time.Second // Consul's default of server_stabilization_time

func (real) Open(at nodes.Endpoint) nodes.Conn { return NewClient(at, ClientOptions{NamesNodes: true}) }

func (r real) Image(context.Context) (nodes.Image, error) {
	path, err := r.binary()
	return nodes.Image{Program: path}, err
}

// Ready is an error if the binary cannot be a node's.
func (r real) Ready(context.Context) error {
	path, err := r.binary()
	if err != nil {
		return err
	}
	return nodes.CheckProgram(path)
}

func (r real) binary() (string, error) {
	name := r.options.Binary
	if name == "" {
		name = "consul"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("the system consul needs a Consul that you have (%w): put one into PATH, or set it by `settings: {binary: /path/of/consul}` or --set binary=/path/of/consul", err)
	}
	return filepath.Abs(path)
}

const configFile = "/etc/consul/faultline.json"

// Launch implements nodes.System. A server that lost its disk joins as somebody new, by itself:
// Consul gives it a node ID of its own, and its autopilot a vote once it has been well for a while.
func (r real) Launch(_ context.Context, s nodes.Start) (nodes.Launch, error) {
	config, err := json.Marshal(r.config(s.Self, s.All))
	if err != nil {
		return nodes.Launch{}, err
	}
	l := nodes.Args("agent", "-config-file", configFile)
	l.Files = map[string]string{configFile: string(config)}
	return l, nil
}

// WANSeeds are the addresses of two servers of each other datacenter, through which a server joins them. Where
// the first two are all down, those of its own datacenter know the rest.
func WANSeeds(self nodes.NodeInfo, all []nodes.NodeInfo) (addrs []string) {
	const each = 2
	listed := map[string]int{}
	for _, p := range all {
		if p.Role == topologies.Server && p.DC != self.DC && listed[p.DC] < each {
			listed[p.DC]++
			addrs = append(addrs, p.Addr.String())
		}
	}
	return addrs
}

// config is Consul's (https://developer.hashicorp.com/consul/docs/reference/agent/configuration-file).
func (r real) config(self nodes.NodeInfo, all []nodes.NodeInfo) map[string]any {
	var servers []string
	expect := 0
	for _, p := range all {
		if p.Role != topologies.Server || p.DC != self.DC {
			continue
		}
		expect++
		if p.Name != self.Name {
			servers = append(servers, p.Addr.String())
		}
	}
	c := map[string]any{
		"node_name":               self.Name,
		"datacenter":              self.DC,
		"data_dir":                self.Dir,
		"bind_addr":               self.Addr.String(),
		"advertise_addr":          self.Addr.String(),
		"client_addr":             "0.0.0.0",
		"retry_join":              servers,
		"retry_interval":          "1s",
		"session_ttl_min":         LeastTTL.String(),
		"disable_update_check":    true,
		"enable_script_checks":    false,
		"leave_on_terminate":      false,
		"skip_leave_on_interrupt": true,
		"rejoin_after_leave":      true,
		"log_level":               "INFO",
		"ports":                   map[string]int{"dns": -1, "grpc": -1, "grpc_tls": -1},
	}
	if n := r.options.RaftMultiplier; n > 0 {
		c["performance"] = map[string]int{"raft_multiplier": n}
	}
	if self.Role == topologies.Client {
		return c
	}
	c["server"] = true
	if seeds := WANSeeds(self, all); len(seeds) > 0 {
		c["retry_join_wan"], c["retry_interval_wan"] = seeds, "2s"
	}
	if self.Role == topologies.Server {
		c["bootstrap_expect"] = expect
	}
	if n := r.options.SnapshotThreshold; n > 0 {
		c["raft_snapshot_threshold"], c["raft_trailing_logs"], c["raft_snapshot_interval"] = n, n, "1s"
	}
	autopilot := map[string]any{}
	if on := r.options.CleanupDeadServers; on != nil {
		autopilot["cleanup_dead_servers"] = *on
	}
	if d := r.options.ServerStabilization; d != "" {
		autopilot["server_stabilization_time"] = d
	}
	if len(autopilot) > 0 {
		c["autopilot"] = autopilot
	}
	return c
}
