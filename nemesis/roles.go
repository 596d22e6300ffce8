package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"faultline/topologies"
	"faultline/workloads/history"
)

// The words of roles: a target that is one server, looked up when the step begins and written back as
// a name. Bugs of elections and leases live where a fault meets a server in the middle of a change, so
// a role may also be that of a moment ago.
const (
	Primary      = "primary"       // the server that leads
	NewLeader    = "new-leader"    // the server that leads, if leadership has changed since the schedule began
	FormerLeader = "former-leader" // the server that led before that, or last, if nobody leads
	Follower     = "follower"      // a server that follows; the draw says which
	Lagging      = "lagging"       // of those that do not lead, the one that has applied least, as far as was seen
)

func roles() []string { return []string{Follower, FormerLeader, Lagging, NewLeader, Primary} }

func isRole(word string) bool { return slices.Contains(roles(), word) }

// andRoles is words and roles, sorted.
func andRoles(words ...string) []string {
	words = append(roles(), words...)
	slices.Sort(words)
	return words
}

// aims reports whether the step hits a role.
func (s Step) aims() bool { return isRole(s.withDefaults().Target.Word) }

// roleWithin is how long a step that must begin waits for whom it hits.
const roleWithin = 10 * time.Second

// resolve puts names in place of a role, and waits a little for whoever has it.
func (p *player) resolve(ctx context.Context, step Step) (Step, error) {
	word := step.withDefaults().Target.Word
	if !isRole(word) {
		return step, nil
	}
	if word == Primary {
		leader, err := p.worldOf(step).leader(ctx)
		if err != nil {
			return step, fmt.Errorf("no leader to hit: %w", err)
		}
		return p.led(step, leader)
	}
	ctx, cancel := context.WithTimeout(ctx, roleWithin)
	defer cancel()
	resolved := step
	err := until(ctx, func() (err error) {
		resolved, err = p.resolveNow(step)
		return err
	})
	return resolved, err
}

// resolveNow is resolve by what was last seen, without waiting.
func (p *player) resolveNow(step Step) (Step, error) {
	word := step.withDefaults().Target.Word
	if !isRole(word) {
		return step, nil
	}
	server, err := p.worldOf(step).watcher.role(word, drawn(step.scope(p.Topology), step.Draw).servers)
	if err != nil {
		return step, err
	}
	return p.led(step, server)
}

func (p *player) led(step Step, server string) (Step, error) {
	if n, ok := step.scope(p.Topology).Node(server); !ok || n.Role == topologies.Client {
		return step, fmt.Errorf("no leader to hit: %q leads, which is no server of %s", server, p.Topology.Name)
	}
	return step.led(p.Topology, server), nil
}

var errNoLeader = errors.New("nobody is seen to lead")

// role is who has a role now; of several followers the first of the order is meant.
func (w *watcher) role(word string, order []string) (string, error) {
	if w == nil {
		return "", errors.New("nobody watches the servers")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	leader, before := w.leaders()
	switch word {
	case Primary, NewLeader:
		if leader == "" {
			return "", errNoLeader
		}
		if word == NewLeader && !w.changed() {
			return "", fmt.Errorf("%s has led all the time", leader)
		}
		return leader, nil
	case FormerLeader:
		if before == "" {
			return "", errors.New("nobody is seen to have led before")
		}
		return before, nil
	case Follower:
		for _, server := range order {
			if w.looks[server].State == history.Follower {
				return server, nil
			}
		}
		return "", errors.New("nobody is seen to follow")
	}
	var least string
	for _, server := range order {
		known, seen := w.known[server]
		if server == leader || !seen {
			continue
		}
		if least == "" || w.known[least].Applied > known.Applied {
			least = server
		}
	}
	if least == "" {
		return "", errors.New("nobody but the leader is seen")
	}
	return least, nil
}
