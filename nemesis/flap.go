package nemesis

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"faultline/nodes/faults"
	"faultline/topologies"
)

// Flap cuts links and heals them, again and again.
type Flap struct {
	sides
	Cycle time.Duration `yaml:"cycle,omitempty"` // how long links are down and up once, half of it each; 0 for the default
}

// A cut is measured in about half a second, so a cycle is not shorter than two seconds.
const leastCycle, defaultCycle = 2 * time.Second, 4 * time.Second

// flaps is how often links are seen to be down, and to be up again, at least.
const flaps = 2

func (Flap) Kind() Kind {
	return Kind{
		Name:   "flap",
		Family: "wan",
		Doc: "Links go down and come up again and again, half of each cycle down (cycle, 2s to 1m; 4s if it is left out), on the links that a partition " +
			"with this target would cut; each time is measured.",
		Targets:  andRoles(Datacenter, Majority, Minority, One, WAN),
		Between:  true,
		Drawn:    andRoles(Majority, Minority, One),
		Needs:    []faults.Capability{faults.LinkDrop},
		LeastFor: flaps*defaultCycle + time.Second,
		Asked: func([]string) string {
			return "links dropped and open by turns"
		},
		AskedHeal: func([]string) string { return "links open" },
	}
}

// Samples are a link that flaps fast, and one that stays away long enough to be missed.
func (Flap) Samples() []Fault { return []Fault{Flap{Cycle: leastCycle}, Flap{}} }

func (f Flap) Validate(t topologies.Topology, s Step) error {
	cycle := f.cycle()
	if cycle < leastCycle || cycle > time.Minute {
		return fmt.Errorf("cycle is %s: want %s to 1m", cycle, leastCycle)
	}
	if least := flaps*cycle + time.Second; s.For < least {
		return fmt.Errorf("for is %s: want at least %s, two cycles and a second", s.For, writeDuration(least))
	}
	return checkSides(t, s, "")
}

func (f Flap) cycle() time.Duration { return cmp.Or(f.Cycle, defaultCycle) }

func (f Flap) Label() string { return "each " + writeDuration(f.cycle()) }

func (f Flap) Acts() Acts { return Acts{Work: f.flap} }

// flap ends with its step. Every time that links go down or up is measured.
func (f Flap) flap(ctx context.Context, w World, s Step, _ []string) (Seen, error) {
	pairs := pairsBetween(s.scope(w.Topology), s, "")
	down := faults.Finding{About: "times that links were down", Want: faults.AtLeast, Least: flaps}
	up := faults.Finding{About: "times that links were up again", Want: faults.AtLeast, Least: flaps}
	seen := func() Seen {
		down.Words = fmt.Sprintf("%s down %d times and up %d times", faults.Count(len(pairs), "link"), down.Count, up.Count)
		return found(down, up)
	}
	drop := func(c *faults.Conditions) {
		cut(c, pairs, func(faults.Pair) faults.Link { return faults.Link{Drop: true} })
	}
	for next := time.Now(); ; {
		for _, turn := range []struct {
			add func(*faults.Conditions)
			of  *faults.Finding
		}{{drop, &down}, {nil, &up}} {
			if err := w.addConditions(ctx, turn.add); ctx.Err() != nil {
				return seen(), nil
			} else if err != nil {
				return seen(), err
			}
			turn.of.Count++
			next = next.Add(f.cycle() / 2)
			if sleep(ctx, time.Until(next)) != nil {
				return seen(), nil
			}
		}
	}
}
