package nemesis

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

func swarmOf(t *testing.T, o Options) Schedule {
	t.Helper()
	o.Swarm = true
	s, err := Generate(o)
	require.NoError(t, err)
	return s
}

func TestASwarmIsTheSameForTheSameSeed(t *testing.T) {
	var out strings.Builder
	for seed, name := range []string{"dc1-3", "dc1-5c2", "dc1-3x2", "dc1-3"} {
		o := Options{Seed: uint64(seed), Duration: time.Minute, Topology: layout(t, name), Logs: []string{"raft/*"}, Snapshots: []string{"raft/snapshots/*"}}
		s := swarmOf(t, o)
		fmt.Fprintf(&out, "# %s, %s\n%s\n%s\n", name, o.Duration, s, Gantt(s, o.Topology, 100))
		require.Equal(t, s, swarmOf(t, o))
		require.True(t, s.Equal(parse(t, s.String())))
	}
	golden(t, "swarm.txt", out.String())
}

// TestSwarmsKeepTheirPromises plays dice with many seeds, and counts what must come up.
func TestSwarmsKeepTheirPromises(t *testing.T) {
	seeds, met := seedsOf(150, 60), map[string]int{}
	for seed := range seeds {
		for _, name := range []string{"dc1-3", "dc1-5c2", "dc1-3x2"} {
			o := Options{Seed: seed, Duration: time.Minute, Topology: layout(t, name), Logs: []string{"raft/*"}, Snapshots: []string{"raft/snapshots/*"}}
			s := swarmOf(t, o)
			require.NoError(t, s.Check(o.Topology, everything), s.String())
			require.LessOrEqual(t, s.End(), o.Duration)
			for i, step := range s.Steps {
				require.True(t, step.Fault.Kind().Momentary || step.lasts() >= swarmLeast)
				require.True(t, !step.aims() || step.Optional, "who is aimed at may be missing")
				lookAtOverlaps(t, s, i, met)
			}
		}
	}
	for _, what := range []string{"three at once", "a leader hit while others are", "a trigger", "damage", "a snapshot damaged", "a leader is deposed under a wrong clock", "shorter than 200ms", "longer than 10s"} {
		require.Greater(t, met[what], int(seeds/50), "%s: %v", what, met)
	}
}

// lookAtOverlaps looks at a step and at those before it that are not over, or still wait.
func lookAtOverlaps(t *testing.T, s Schedule, i int, met map[string]int) {
	step, at := s.Steps[i], 0
	for j, other := range s.Steps[:i] {
		require.LessOrEqual(t, other.At, step.At, "steps come in order")
		if needsCalm(step) {
			require.True(t, harmless(other.Fault) || other.over()+settle <= step.At, "%s: step %d before %d", s, j, i)
		}
		if other.over() <= step.At {
			continue
		}
		at++
		require.False(t, needsCalm(other) && !harmless(step.Fault), "%s: steps %d and %d overlap", s, j, i)
		require.False(t, stopsMajority(step) && stopsMajority(other), "%s: steps %d and %d", s, j, i)
	}
	require.Less(t, at, mostAtOnce, "%s: step %d", s, i)
	for what, is := range map[string]bool{
		"three at once":                 at == mostAtOnce-1,
		"a leader hit while others are": at > 0 && step.aims(),
		"a trigger":                     !step.When.IsZero(),
		"damage":                        damages(step.Fault),
		"a snapshot damaged":            damages(step.Fault) && strings.Contains(step.Label(), "snapshots"),
		"a leader is deposed under a wrong clock": step.Name() == "deposed-leader-reads" && at > 0,
		"shorter than 200ms":                      step.For > 0 && step.For < 200*time.Millisecond,
		"longer than 10s":                         step.For > 10*time.Second,
	} {
		if is {
			met[what]++
		}
	}
}

// Each family is left out by half of the seeds, some seeds have one alone, and no seed has none.
func TestASwarmIsASubset(t *testing.T) {
	families := []string{"kill", "pause", "partition", "power"}
	used := map[string]int{}
	const seeds = 300
	for seed := range uint64(seeds) {
		s := swarmOf(t, Options{Seed: seed, Families: families, Duration: 2 * time.Minute, Topology: layout(t, "dc1-3")})
		of := map[string]bool{}
		for _, step := range s.Steps {
			of[step.Fault.Kind().Family] = true
		}
		for f := range of {
			used[f]++
		}
		used[fmt.Sprint(len(of))]++
	}
	for _, f := range families {
		require.InDelta(t, seeds/2, used[f], seeds/10, f)
	}
	require.InDelta(t, seeds/16, used["4"], seeds/20)
	require.InDelta(t, seeds*5/16, used["1"], seeds/10, "one, or none of them")
}

func TestWeightsOfASwarm(t *testing.T) {
	o := Options{Families: []string{"kill", "pause"}, Duration: 4 * time.Minute, Topology: layout(t, "dc1-3"), Weights: map[string]float64{"kill": 50}}
	counts, both := map[string]int{}, map[string]int{} // of all seeds, and of those in which both faults come up
	for o.Seed = range uint64(200) {
		of := countsOf(swarmOf(t, o))
		for name, n := range of {
			counts[name] += n
			if len(of) == 2 {
				both[name] += n
			}
		}
	}
	require.Greater(t, counts["pause"], 0, "alone in one seed of a hundred")
	require.Greater(t, counts["kill"], 10*counts["pause"])
	require.Greater(t, both["kill"], 10*both["pause"])

	o.Weights = map[string]float64{"kill": 0}
	require.Zero(t, countsOf(swarmOf(t, o))["kill"])
	for _, c := range []struct {
		weights map[string]float64
		want    string
	}{
		{map[string]float64{"kill": 0, "pause": 0}, "every family of faults has the weight 0"},
		{map[string]float64{"kill": -1}, "the weight of family kill is -1; want a number from 0 on"},
		{map[string]float64{"kill": math.NaN()}, "the weight of family kill is NaN; want a number from 0 on"},
		{map[string]float64{"kill": math.Inf(1)}, "the weight of family kill is +Inf; want a number from 0 on"},
		{map[string]float64{"floods": 1}, `no family of faults "floods" has a weight`},
	} {
		o.Swarm, o.Weights = true, c.weights
		_, err := Generate(o)
		require.ErrorContains(t, err, c.want)
	}
}

func countsOf(s Schedule) map[string]int {
	counts := map[string]int{}
	for _, step := range s.Steps {
		counts[step.Name()]++
	}
	return counts
}

// What the system cannot do is not asked for, and what it does not check is not damaged.
func TestASwarmAsksNoMoreThanTheSystemCanDo(t *testing.T) {
	cannot := func(history.Ability) bool { return false }
	for seed := range seedsOf(100, 20) {
		o := Options{Seed: seed, Duration: time.Minute, Topology: layout(t, "dc1-3"), Can: cannot}
		s := swarmOf(t, o)
		require.NoError(t, s.CheckAbilities("small", cannot))
		require.NotContains(t, s.Needs(o.Topology), faults.DiskDamage)
	}
	two := topologies.Topology{Name: "two", Datacenters: []topologies.Datacenter{{Name: "dc1", Servers: topologies.Members{Count: 2}}}}
	for seed := range seedsOf(100, 20) {
		s := swarmOf(t, Options{Seed: seed, Duration: time.Minute, Topology: two, Families: []string{"disk"}, Logs: []string{"raft/*"}})
		require.NotContains(t, s.Needs(two), faults.DiskDamage, "one of two servers is no minority")
	}
}
