package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// self is what we read of /v1/agent/self. Raft is the reference agent's own; Consul has
// the same figures in Stats, as text. HashiCorp's client takes every field at the top for
// an object, so Boot stands in Raft.
type self struct {
	Raft   *raftSelf
	Usage  nodes.Usage // the reference agent's own
	Config struct{ NodeName string }
	Stats  struct {
		Raft    map[string]string `json:"raft"`
		Consul  map[string]string `json:"consul"`
		Runtime map[string]string `json:"runtime"`
	}
}

type raftSelf struct {
	Boot, State, Leader         string
	Term, Commit, Applied, Last uint64
}

func (c *client) Observe(ctx context.Context) (history.Observation, error) {
	body, err := c.ask(ctx, "/v1/agent/self")
	if err != nil {
		return history.Observation{}, err
	}
	o, leaderAddr, err := parseSelf(body)
	if err != nil {
		return history.Observation{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	if o.Leader != "" || leaderAddr == "" {
		return o, nil
	}
	if body, err = c.ask(ctx, "/v1/agent/members"); err != nil {
		return history.Observation{}, err
	}
	if o.Leader, err = parseMemberAt(body, leaderAddr); err != nil {
		return history.Observation{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return o, nil
}

func (c *client) ask(ctx context.Context, path string) ([]byte, error) {
	return c.askWith(ctx, path, "")
}

func (c *client) askWith(ctx context.Context, path, query string) ([]byte, error) {
	a, err := c.do(ctx, http.MethodGet, &url.URL{Path: path, RawQuery: query}, "")
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, classify(a)
	}
	return a.Body, nil
}

// parseSelf reads a node's account of itself. Where it knows its leader only by address,
// that is leaderAddr. A Consul tells no boot.
func parseSelf(body []byte) (o history.Observation, leaderAddr string, err error) {
	var s self
	if err := json.Unmarshal(body, &s); err != nil {
		return o, "", fmt.Errorf("an answer that is no agent's self, %s: %w", web.Excerpt(body), err)
	}
	o.Goroutines, o.Descriptors, o.Memory = s.Usage.Goroutines, s.Usage.Descriptors, s.Usage.Memory
	if n, err := strconv.Atoi(s.Stats.Runtime["goroutines"]); err == nil {
		o.Goroutines = n // as a Consul tells it
	}
	if r := s.Raft; r != nil {
		o.BootID, o.State, o.Leader = r.Boot, history.State(r.State), r.Leader
		o.Term, o.Commit, o.Applied, o.Last = r.Term, r.Commit, r.Applied, r.Last
		return o, "", nil
	}
	stats := s.Stats.Raft
	if stats == nil {
		return o, "", nil // a client agent
	}
	o.State = history.State(stats["state"])
	for name, to := range map[string]*uint64{
		"term": &o.Term, "commit_index": &o.Commit, "applied_index": &o.Applied, "last_log_index": &o.Last,
	} {
		if *to, err = strconv.ParseUint(stats[name], 10, 64); err != nil {
			return history.Observation{}, "", fmt.Errorf("an agent's self whose raft %s is %q", name, stats[name])
		}
	}
	if o.State == history.Leader {
		o.Leader = s.Config.NodeName
	}
	return o, s.Stats.Consul["leader_addr"], nil
}

// parseMemberAt finds the name of the member with the IP of addr, IP:PORT; empty if there
// is none.
func parseMemberAt(body []byte, addr string) (string, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("a leader at %q: %w", addr, err)
	}
	var members []struct{ Name, Addr string }
	if err := json.Unmarshal(body, &members); err != nil {
		return "", fmt.Errorf("an answer that is no list of members, %s: %w", web.Excerpt(body), err)
	}
	for _, m := range members {
		if m.Addr == host {
			return m.Name, nil
		}
	}
	return "", nil
}
