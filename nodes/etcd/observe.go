package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// Observe tells what the loop of Raft says of itself at one moment (/debug/vars, raft.status): state, leader,
// commit and applied index, and of a leader the last index, which is its own match.
//
// The term is told only if it is known to be durable, since whoever is killed before it has saved a
// term starts again in an earlier one; else it is 0, for untold. A status has another: that of the
// last entry that was applied, which a new leader has only when its own first entry is committed.
// The term of Raft is durable if it is that one, and Raft itself counts as applied what etcd had
// applied by then:
//
//	status       term 7 (an entry at or before index 90)
//	status       applied 90
//	raft.status  term 7, applied 91
//
// Raft counts a Ready as applied when it has advanced, and etcd lets it advance after it has saved the
// Ready, with its term (raftNode.start in etcdserver/raft.go).
func (c *client) Observe(ctx context.Context) (history.Observation, error) {
	before, err := c.status(ctx)
	if err != nil {
		return history.Observation{}, err
	}
	after, err := c.status(ctx)
	if err != nil {
		return history.Observation{}, err
	}
	raft, err := c.raft(ctx)
	if err != nil {
		return history.Observation{}, err
	}
	o := raft.observation()
	if before.Term != raft.Term || raft.Applied < after.Applied {
		o.Term = 0
	}
	if raft.Lead != 0 {
		if o.Leader, err = c.name(ctx, raft.Lead); err != nil {
			return history.Observation{}, err
		}
	}
	return o, nil
}

func (c *client) status(ctx context.Context) (statusAnswer, error) {
	var s statusAnswer
	err := c.call(ctx, "/v3/maintenance/status", struct{}{}, &s)
	return s, err
}

// raftStatus is raft.Status (go.etcd.io/raft, status.go).
type raftStatus struct {
	ID, Lead              uint64
	State                 history.State
	Term, Commit, Applied uint64
	Match                 map[uint64]uint64 // of a leader: how far each member's log is known to be
}

func (s raftStatus) observation() history.Observation {
	return history.Observation{State: s.State, Term: s.Term, Commit: s.Commit, Applied: s.Applied, Last: s.Match[s.ID]}
}

func (c *client) raft(ctx context.Context) (raftStatus, error) {
	a, err := c.web.Do(ctx, web.Request{Method: http.MethodGet, URL: &url.URL{Path: "/debug/vars"}})
	if err != nil {
		return raftStatus{}, err
	}
	if a.Status != http.StatusOK {
		return raftStatus{}, classify(a)
	}
	s, err := parseVars(a.Body)
	if err != nil {
		return raftStatus{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return s, nil
}

var states = map[string]history.State{
	"StateLeader":       history.Leader,
	"StateFollower":     history.Follower,
	"StateCandidate":    history.Candidate,
	"StatePreCandidate": history.Candidate,
}

// parseVars reads the raft.status of /debug/vars, where IDs are in hex.
func parseVars(body []byte) (raftStatus, error) {
	var vars struct {
		Raft *struct {
			ID, Lead              string
			RaftState             string
			Term, Commit, Applied uint64
			Progress              map[string]struct{ Match uint64 }
		} `json:"raft.status"`
	}
	if err := json.Unmarshal(body, &vars); err != nil {
		return raftStatus{}, fmt.Errorf("an answer that has no variables, %s: %w", web.Excerpt(body), err)
	}
	raft := vars.Raft
	if raft == nil {
		return raftStatus{}, fmt.Errorf("variables without a raft.status: %s", web.Excerpt(body))
	}
	s := raftStatus{State: states[raft.RaftState], Term: raft.Term, Commit: raft.Commit, Applied: raft.Applied}
	var err error
	if s.ID, err = parseID(raft.ID); err != nil {
		return raftStatus{}, fmt.Errorf("a raft.status of the member %q: %w", raft.ID, err)
	}
	if s.Lead, err = strconv.ParseUint(raft.Lead, 16, 64); err != nil {
		return raftStatus{}, fmt.Errorf("a raft.status whose lead is %q: %w", raft.Lead, err)
	}
	if s.State == "" {
		return raftStatus{}, fmt.Errorf("a raft.status in the state %q", raft.RaftState)
	}
	if len(raft.Progress) == 0 {
		return s, nil
	}
	s.Match = map[uint64]uint64{}
	for text, progress := range raft.Progress {
		id, err := parseID(text)
		if err != nil {
			return raftStatus{}, fmt.Errorf("a raft.status with the progress of %q: %w", text, err)
		}
		s.Match[id] = progress.Match
	}
	return s, nil
}

// name is a member's; empty if the node knows none.
func (c *client) name(ctx context.Context, id uint64) (string, error) {
	if name := c.known(id); name != "" {
		return name, nil
	}
	members, err := c.list(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	for _, m := range members {
		c.names[m.ID] = m.Name // an ID is never given twice
	}
	c.mu.Unlock()
	return c.known(id), nil
}

func (c *client) known(id uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[id]
}

// list is the members as the node knows them.
func (c *client) list(ctx context.Context) ([]member, error) {
	var answer membersAnswer
	if err := c.call(ctx, "/v3/cluster/member/list", struct{}{}, &answer); err != nil {
		return nil, err
	}
	if err := checkMembers(answer.Members); err != nil {
		return nil, nodes.Errorf(history.Unknown, "%v", err)
	}
	return answer.Members, nil
}

func checkMembers(members []member) error {
	if len(members) == 0 {
		return fmt.Errorf("a list of no members")
	}
	for _, m := range members {
		if m.ID == 0 || len(m.PeerURLs) == 0 {
			return fmt.Errorf("a member without an ID or a peer URL: %+v", m)
		}
	}
	return nil
}

// sync returns when the node has applied all that was committed when it was called: what it tells by
// itself afterwards is no older.
func (c *client) sync(ctx context.Context) error {
	return c.call(ctx, "/v3/kv/range", rangeRequest{Key: []byte("/")}, &rangeAnswer{})
}

// members is the peer set, no older than this call.
func (c *client) members(ctx context.Context) ([]member, error) {
	if err := c.sync(ctx); err != nil {
		return nil, err
	}
	return c.list(ctx)
}
