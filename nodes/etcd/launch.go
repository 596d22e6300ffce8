package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/topologies"
)

// membership is what a node is, or was last, in the peer set. Each has a data directory of its own, so that a
// node which left and joins again does not find the data of who it was.
type membership struct {
	number  int    // founding, or a later one
	id      uint64 // 0: a founder's, which nobody has asked for
	cluster string // the list of members with which it starts
	removed bool   // or maybe: somebody asked for it
}

// founding is the number of a founder's membership.
const founding = 1

const (
	askWithin    = time.Second            // one question about the members
	changeWithin = 5 * time.Second        // one change of the members
	retryEvery   = 200 * time.Millisecond // while nobody can take a newcomer in
)

// Launch implements nodes.System. A founder starts with all servers; whoever is new is announced to the
// members first, until somebody takes it in or ctx ends. A node that starts again and is no member any more is
// new as well. If nobody can say whether it is, it still is, unless a client has asked for its removal.
func (s *System) Launch(ctx context.Context, start nodes.Start) (nodes.Launch, error) {
	is, err := s.become(ctx, start)
	if err != nil {
		return nodes.Launch{}, err
	}
	s.set(start.Self.Name, is)
	return nodes.Launch{Args: s.args(start.Self, is), Env: environment()}, nil
}

// become is the membership with which a node starts.
func (s *System) become(ctx context.Context, start nodes.Start) (membership, error) {
	switch start.Kind {
	case nodes.Founder:
		return membership{number: founding, cluster: founders(start.All)}, nil
	case nodes.Again:
		was, known := s.was(start.Self.Name)
		if !known {
			return membership{}, fmt.Errorf("%s starts again, and never started before", start.Self.Name)
		}
		if is, member := s.stillMember(ctx, start, was); member {
			return is, nil
		}
		return s.join(ctx, start)
	case nodes.Fresh, nodes.Joiner:
		return s.join(ctx, start)
	}
	return membership{}, fmt.Errorf("etcd knows no start of the kind %q", start.Kind)
}

func (s *System) was(node string) (membership, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.members[node]
	if !ok {
		return membership{}, false
	}
	return *m, true
}

func (s *System) set(node string, is membership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members[node] = &is
}

// removed remembers that the removal of a member was asked for.
func (s *System) removed(members []member, id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range members {
		if is, ok := s.members[m.Name]; ok && m.ID == id {
			is.removed = true
		}
	}
}

// args are the flags of etcd, in words that 3.4 and all later know.
func (s *System) args(self nodes.NodeInfo, is membership) []string {
	state := "existing"
	if is.number == founding {
		state = "new"
	}
	args := []string{
		"--name=" + self.Name,
		"--data-dir=" + path.Join(self.Dir, "member-"+strconv.Itoa(is.number)),
		"--listen-client-urls=http://0.0.0.0:" + strconv.Itoa(clientPort),
		"--advertise-client-urls=" + urlOf(self.Addr, clientPort),
		"--listen-peer-urls=http://0.0.0.0:" + strconv.Itoa(peerPort),
		"--initial-advertise-peer-urls=" + urlOf(self.Addr, peerPort),
		"--initial-cluster=" + is.cluster,
		"--initial-cluster-state=" + state,
		"--heartbeat-interval=" + strconv.FormatInt(s.options.Heartbeat.Milliseconds(), 10),
		"--election-timeout=" + strconv.FormatInt(s.options.Election.Milliseconds(), 10),
		"--logger=zap",
	}
	if n := s.options.SnapshotCount; n > 0 {
		args = append(args, "--snapshot-count="+strconv.Itoa(n))
	}
	return append(args, s.options.Flags...)
}

func urlOf(addr netip.Addr, port uint16) string {
	return "http://" + netip.AddrPortFrom(addr, port).String()
}

// founders is the first list of members.
func founders(all []nodes.NodeInfo) string {
	var list []string
	for _, n := range all {
		if n.Role == topologies.Server {
			list = append(list, n.Name+"="+urlOf(n.Addr, peerPort))
		}
	}
	return strings.Join(list, ",")
}

// clusterOf is a later list of members, with which a node starts. Those that have not started yet have no
// names: it goes by their addresses.
func clusterOf(members []member, all []nodes.NodeInfo) string {
	var list []string
	for _, m := range members {
		name := m.Name
		for _, n := range all {
			if slices.Contains(m.PeerURLs, urlOf(n.Addr, peerPort)) {
				name = n.Name
			}
		}
		for _, u := range m.PeerURLs {
			list = append(list, cmp.Or(name, "member-"+hex(m.ID))+"="+u)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// stillMember asks everybody else once whether a node is the member that it was.
func (s *System) stillMember(ctx context.Context, start nodes.Start, was membership) (is membership, member bool) {
	members, err := s.askOthers(ctx, start)
	if err != nil {
		return was, !was.removed
	}
	m, found := memberAt(members, start.Self.Addr)
	if !found || was.id != 0 && was.id != m.ID || m.Name == "" && was.id == 0 {
		return membership{}, false
	}
	was.id, was.removed = m.ID, false
	if was.number > founding && m.Name == "" { // it was announced, and has not started: the list may be another now
		was.cluster = clusterOf(members, start.All)
	}
	return was, true
}

// memberAt finds the member with a peer URL at an address.
func memberAt(members []member, addr netip.Addr) (member, bool) {
	i := slices.IndexFunc(members, func(m member) bool { return slices.Contains(m.PeerURLs, urlOf(addr, peerPort)) })
	if i < 0 {
		return member{}, false
	}
	return members[i], true
}

// askOthers asks all other nodes at once for the members, and returns the first answer that is no older than the
// call.
func (s *System) askOthers(ctx context.Context, start nodes.Start) ([]member, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askWithin, fmt.Errorf("no answer within %v", askWithin))
	defer cancel()
	type answer struct {
		members []member
		err     error
	}
	answers := make(chan answer, len(start.All))
	asked := 0
	for _, n := range start.All {
		if n.Name == start.Self.Name {
			continue
		}
		asked++
		go func() {
			c := s.client(start.Endpoint(n.Name))
			defer c.Close()
			members, err := c.members(ctx)
			if err != nil {
				err = fmt.Errorf("%s: %w", n.Name, err)
			}
			answers <- answer{members, err}
		}()
	}
	var failed []error
	for range asked {
		a := <-answers
		if a.err == nil {
			return a.members, nil
		}
		failed = append(failed, a.err)
	}
	return nil, errors.Join(failed...)
}

// join makes a node a new member: who was at its address is removed, and it is added.
func (s *System) join(ctx context.Context, start nodes.Start) (membership, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return membership{}, err
	}
	defer unlock()
	var last error
	for began := time.Now(); ; {
		for _, n := range start.All {
			if n.Name == start.Self.Name {
				continue
			}
			is, err := s.joinBy(ctx, start, n.Name, time.Since(began) > startWithin)
			if err == nil {
				return is, nil
			}
			if ctx.Err() == nil || last == nil {
				last = fmt.Errorf("asked %s: %w", n.Name, err)
			}
		}
		if err := sleep(ctx, retryEvery); err != nil {
			return membership{}, fmt.Errorf("nobody took %s in: %w; the last answer: %w", start.Self.Name, err, last)
		}
	}
}

// errStarting is why another newcomer has to wait.
var errStarting = errors.New("a member has not started yet")

// joinBy asks one node to make another a member. hasty does not wait for members that have not started.
func (s *System) joinBy(ctx context.Context, start nodes.Start, by string, hasty bool) (membership, error) {
	c := s.client(start.Endpoint(by))
	defer c.Close()
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	members, err := c.members(asking)
	if err != nil {
		return membership{}, err
	}
	was, known := s.was(start.Self.Name)
	old, found := memberAt(members, start.Self.Addr)
	if !hasty && slices.ContainsFunc(members, func(m member) bool { return m.Name == "" && m.ID != old.ID }) {
		return membership{}, errStarting
	}
	changing, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	// One that has not started, and is not who the node was, is what an earlier call asked for without
	// hearing of it.
	if found && (old.Name != "" || known && was.id == old.ID) {
		var answer membersAnswer
		if err := c.call(changing, "/v3/cluster/member/remove", memberRequest{ID: old.ID}, &answer); err != nil {
			return membership{}, fmt.Errorf("remove its last member %s: %w", hex(old.ID), err)
		}
		found, members = false, answer.Members
	}
	if !found {
		var answer membersAnswer
		if err := c.call(changing, "/v3/cluster/member/add", memberRequest{PeerURLs: []string{urlOf(start.Self.Addr, peerPort)}}, &answer); err != nil {
			return membership{}, fmt.Errorf("add it: %w", err)
		}
		members = answer.Members
		if old, found = memberAt(members, start.Self.Addr); !found || old.Name != "" {
			return membership{}, fmt.Errorf("it was added, and the members are %+v", members)
		}
	}
	return membership{number: max(was.number, founding) + 1, id: old.ID, cluster: clusterOf(members, start.All)}, nil
}
