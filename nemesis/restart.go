package nemesis

import (
	"context"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

var restartStorm = Fault{
	Name:   "restart-storm",
	Family: "restart",
	Doc: "Kills processes by SIGKILL and starts them, again and again, often before they have recovered; the times between " +
		"are the draw's.",
	Targets: []string{All, Majority, Minority, One, Primary},
	Drawn:   []string{Majority, Minority, One},
	Seeded:  true,
	Needs:   []faults.Capability{faults.ProcessKill},
	Kills:   true,
	Suits:   longEnough,
	Nodes:   processNodes,
	Asked:   func(hit []string) string { return andMore(hit) + " killed and started again and again" },
	Work:    storm,
}

// How long a process is down in a storm, and how long it is up: a server of the reference
// agent that had promised something is silent for about a second after its start, and then
// reads its log.
const (
	leastDown, mostDown = 50 * time.Millisecond, 400 * time.Millisecond
	leastUp, mostUp     = 100 * time.Millisecond, 2500 * time.Millisecond
	leastStorm          = 3 * time.Second
)

func longEnough(_ topologies.Topology, s Step) error {
	if s.For < leastStorm {
		return fmt.Errorf("for is %s: a storm needs at least %s", s.For, leastStorm)
	}
	return nil
}

// storm ends with its step. Every kill and every start is measured. In a short one processes are
// up for a third of it at most, lest they are killed only once.
func storm(ctx context.Context, w World, s Step, hit []string) (string, error) {
	kills, mostUp := 0, min(mostUp, s.For/3)
	for i := uint64(0); ; i += 2 {
		for _, part := range []struct {
			edit func(*faults.Conditions)
			rest time.Duration
		}{
			{func(c *faults.Conditions) { c.SetProcess(hit, faults.Killed) }, gap(s.Draw, i, leastDown, mostDown)},
			{nil, gap(s.Draw, i+1, leastUp, mostUp)},
		} {
			if err := w.impose(ctx, part.edit); err != nil && ctx.Err() == nil {
				return "", err
			}
			if ctx.Err() == nil && part.edit != nil {
				kills++
			}
			if sleep(ctx, part.rest) == nil {
				continue
			}
			if kills < 2 {
				return "", fmt.Errorf("killed only %d times", kills)
			}
			return fmt.Sprintf("%s killed %d times", andMore(hit), kills), nil
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

var rollingRestart = Fault{
	Name:   "rolling-restart",
	Family: "restart",
	Doc: "Restarts servers by SIGKILL, one after the other, each once the one before votes and knows the leader, as in an " +
		"upgrade; all have to be through before the step ends.",
	Targets:   []string{All},
	Needs:     []faults.Capability{faults.ProcessKill},
	Kills:     true,
	For:       20 * time.Second,
	Suits:     serversOnly,
	Nodes:     serversToRoll,
	Asked:     func(hit []string) string { return andMore(hit) + " restarted, one after the other" },
	AskedHeal: func(hit []string) string { return andMore(hit) + " running" },
	Work:      roll,
}

func serversToRoll(t topologies.Topology, s Step) []string {
	if s.Target.Word == "" {
		return s.Target.Names
	}
	return drawn(t, 0).servers
}

func roll(ctx context.Context, w World, _ Step, hit []string) (string, error) {
	began := time.Now()
	for i, node := range hit {
		err := w.impose(ctx, func(c *faults.Conditions) { c.SetProcess([]string{node}, faults.Killed) })
		if err == nil {
			err = w.impose(ctx, nil)
		}
		if err == nil {
			err = awaitFollower(ctx, w, node)
		}
		if err != nil {
			return fmt.Sprintf("%d of %d restarted", i, len(hit)), fmt.Errorf("%s is not back: %w", node, err)
		}
	}
	return fmt.Sprintf("%d restarted, each voted before the next, in %s", len(hit), time.Since(began).Round(100*time.Millisecond)), nil
}

// awaitFollower waits until a node votes, and says itself who leads.
func awaitFollower(ctx context.Context, w World, node string) error {
	if _, err := awaitPeer(ctx, w, node, true); err != nil {
		return err
	}
	return until(ctx, func() error {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		seen, err := w.Client(node).Observe(asking)
		if err == nil && seen.Leader == "" {
			err = fmt.Errorf("%s knows no leader", node)
		}
		return err
	})
}
