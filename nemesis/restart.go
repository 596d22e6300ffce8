package nemesis

import (
	"context"
	"fmt"
	"strings"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// RestartStorm kills and starts processes again and again.
type RestartStorm struct{ onProcesses }

func (RestartStorm) Kind() Kind {
	return Kind{
		Name:   "restart-storm",
		Family: "restart",
		Doc: "Kills processes by SIGKILL and starts them, again and again, often before they have recovered; the times between " +
			"are the draw's.",
		Targets:  andRoles(All, Majority, Minority, One),
		Drawn:    []string{Majority, Minority, One},
		Seeded:   true,
		Needs:    []faults.Capability{faults.ProcessKill},
		Kills:    true,
		LeastFor: leastStorm,
		Asked: func(targets []string) string {
			return strings.Join(targets, ", ") + " killed and started again and again"
		},
	}
}

// How long a process is down in a storm, and how long it is up: a server of the reference
// agent that had promised something is silent for about a second after its start, and then
// reads its log.
const (
	leastDown, mostDown = 50 * time.Millisecond, 400 * time.Millisecond
	leastUp, mostUp     = 100 * time.Millisecond, 2500 * time.Millisecond
	leastStorm          = 3 * time.Second
)

func (RestartStorm) Validate(_ topologies.Topology, s Step) error {
	if s.For < leastStorm {
		return fmt.Errorf("for is %s: a storm needs at least %s", s.For, leastStorm)
	}
	return nil
}

func (RestartStorm) Acts() Acts { return Acts{Work: storm} }

// storm ends with its step. Every kill and every start is measured. In a short one processes are
// up for a third of it at most, lest they are killed only once.
func storm(ctx context.Context, w World, s Step, targets []string) (Seen, error) {
	seen := faults.Finding{About: "kills", Want: faults.AtLeast, Least: 2}
	mostUp := min(mostUp, s.For/3)
	for i := uint64(0); ; i += 2 {
		for _, part := range []struct {
			add  func(*faults.Conditions)
			rest time.Duration
		}{
			{func(c *faults.Conditions) { c.SetProcess(targets, faults.Killed) }, gap(s.Draw, i, leastDown, mostDown)},
			{nil, gap(s.Draw, i+1, leastUp, mostUp)},
		} {
			if err := w.addConditions(ctx, part.add); err != nil && ctx.Err() == nil {
				return found(seen), err
			}
			if ctx.Err() == nil && part.add != nil {
				seen.Count++
			}
			if sleep(ctx, part.rest) != nil {
				seen.Words = fmt.Sprintf("%s killed %d times", strings.Join(targets, ", "), seen.Count)
				return found(seen), nil
			}
		}
	}
}

// gap is the i-th time between least and most that a draw means: the next number of
// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
func gap(draw, i uint64, least, most time.Duration) time.Duration {
	z := draw + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return least + time.Duration(z%uint64(most-least+1))
}

// RollingRestart restarts servers one after the other.
type RollingRestart struct{}

func (RollingRestart) Kind() Kind {
	return Kind{
		Name:   "rolling-restart",
		Family: "restart",
		Doc: "Restarts servers by SIGKILL, one after the other, each once the one before votes and knows the leader, as in an " +
			"upgrade; all have to be through before the step ends.",
		Targets:   []string{All},
		Needs:     []faults.Capability{faults.ProcessKill},
		Kills:     true,
		For:       20 * time.Second,
		Asked:     func(targets []string) string { return strings.Join(targets, ", ") + " restarted, one after the other" },
		AskedHeal: func(targets []string) string { return strings.Join(targets, ", ") + " running" },
	}
}

func (RollingRestart) Validate(t topologies.Topology, s Step) error { return serversOnly(t, s) }

func (RollingRestart) Nodes(t topologies.Topology, s Step) []string {
	if s.Target.Word == "" {
		return s.Target.Names
	}
	return drawn(t, 0).servers
}

func (RollingRestart) Acts() Acts { return Acts{Work: roll} }

func roll(ctx context.Context, w World, _ Step, targets []string) (Seen, error) {
	began := time.Now()
	seen := faults.Finding{About: "restarted", Want: faults.Has, Names: targets}
	for i, node := range targets {
		err := w.addConditions(ctx, func(c *faults.Conditions) { c.SetProcess([]string{node}, faults.Killed) })
		if err == nil {
			err = w.addConditions(ctx, nil)
		}
		if err == nil {
			err = awaitFollower(ctx, w, node)
		}
		if err != nil {
			seen.Words = fmt.Sprintf("%d of %d restarted", i, len(targets))
			return found(seen), fmt.Errorf("%s is not back: %w", node, err)
		}
		seen.Got = append(seen.Got, node)
	}
	seen.Words = fmt.Sprintf("%d restarted, each voted before the next, in %s", len(targets), time.Since(began).Round(100*time.Millisecond))
	return found(seen), nil
}

// awaitFollower waits until a node votes, and says itself who leads.
func awaitFollower(ctx context.Context, w World, node string) error {
	if _, err := awaitPeer(ctx, w, node, true); err != nil {
		return err
	}
	return until(ctx, func() error {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		seen, err := w.Conn(node).Observe(asking)
		if err == nil && seen.Leader == "" {
			err = fmt.Errorf("%s knows no leader", node)
		}
		return err
	})
}
