package nemesis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

func TestGenerateIsTheSameForTheSameSeed(t *testing.T) {
	var out strings.Builder
	seven := []string{"deposed", "kill", "leave", "link", "partition", "pause", "transfer"}
	for _, o := range []Options{
		{Seed: 1, Duration: time.Minute, Topology: layout(t, "dc1-5c2"), Families: seven},
		{Seed: 2, Duration: time.Minute, Topology: layout(t, "dc1-3"), Interval: 2 * time.Second, Families: seven},
		{Seed: 3, Duration: 30 * time.Second, Topology: layout(t, "dc1-3c2"), Families: []string{"partition", "deposed"}},
		{Seed: 4, Duration: 2 * time.Minute, Topology: layout(t, "dc1-3x2")},
	} {
		s, err := Generate(o)
		require.NoError(t, err)
		require.NoError(t, s.Check(o.Topology, everything))
		fmt.Fprintf(&out, "# %s, %s, interval %s, families %v\n%s\n%s\n", o.Topology.Name, o.Duration, o.Interval, o.Families,
			s, Gantt(s, o.Topology, 100))
		again, err := Generate(o)
		require.NoError(t, err)
		require.Equal(t, s, again)
	}
	golden(t, "generate.txt", out.String())
}

// TestGeneratedSchedulesKeepTheirPromises plays dice with many seeds.
func TestGeneratedSchedulesKeepTheirPromises(t *testing.T) {
	for seed := range seedsOf(300, 60) {
		for _, name := range []string{"dc1-3", "dc1-5c2", "dc1-3x2"} {
			o := Options{Seed: seed, Duration: time.Minute, Interval: 4 * time.Second, Topology: layout(t, name)}
			s, err := Generate(o)
			require.NoError(t, err)
			require.NoError(t, s.Check(o.Topology, everything))
			require.LessOrEqual(t, s.End(), o.Duration)
			used := map[string]bool{}
			for i, step := range s.Steps {
				used[step.Fault.Kind().Family] = true
				for j, other := range s.Steps {
					otherEnd := other.At + other.lasts()
					before := i != j && other.At <= step.At
					if before && needsLeader(step) {
						require.Less(t, otherEnd, step.At, "%s: step %d needs a leader", s, i)
					}
					if before && stopsMajority(step) && stopsMajority(other) {
						require.LessOrEqual(t, otherEnd, step.At, "%s: step %d", s, i)
					}
					if before && other.Name() == "deposed-leader-reads" {
						require.LessOrEqual(t, otherEnd, step.At, "%s: step %d", s, i)
					}
				}
			}
			require.Greater(t, len(used), 2, "%s", s)
		}
	}
}

func TestIntervalIsAboutTheMean(t *testing.T) {
	o := Options{Duration: time.Hour, Interval: 5 * time.Second, Families: []string{"partition"}, Topology: layout(t, "dc1-5")}
	partitionsOf := func(families ...string) int {
		o.Families = families
		s, err := Generate(o)
		require.NoError(t, err)
		return len(s.Steps)
	}
	require.Less(t, partitionsOf("partition"), 3600/5*11/10)
	require.Greater(t, partitionsOf("partition"), 3600/5/2)
}

func TestGenerateSuitsSmallTopologies(t *testing.T) {
	for _, c := range []struct {
		servers int
		want    []string
	}{
		{1, []string{"clock", "disk", "kill", "pause", "power", "restart"}},
		{2, []string{"clock", "disk", "kill", "link", "partition", "pause", "power", "restart", "transfer"}},
		{3, []string{"clock", "deposed", "disk", "kill", "leave", "link", "partition", "pause", "power", "remove", "replace", "restart", "transfer"}},
	} {
		topology := topologies.Topology{Name: "small", Datacenters: []topologies.Datacenter{
			{Name: "dc1", Servers: topologies.Members{Count: c.servers}}}}
		o := Options{Duration: 5 * time.Minute, Topology: topology}
		s, err := Generate(o)
		require.NoError(t, err)
		require.NoError(t, s.Check(topology, everything))
		used := map[string]bool{}
		for _, step := range s.Steps {
			used[step.Fault.Kind().Family] = true
		}
		require.Equal(t, c.want, slices.Sorted(maps.Keys(used)))
	}
	_, err := Generate(Options{Duration: time.Minute, Families: []string{"leave"}, Topology: topologies.Topology{Name: "alone",
		Datacenters: []topologies.Datacenter{{Name: "dc1", Servers: topologies.Members{Count: 1}}}}})
	require.EqualError(t, err, "faults of the family leave cannot be played on alone")
}

func TestGenerateRefuses(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Duration: time.Minute, Families: []string{"floods"}, Topology: layout(t, "dc1-3")},
			`no family of faults "floods"; there are clock, deposed, disk, join, kill, leave, link, partition, pause, power, remove, replace, restart, transfer, wan`},
		{Options{Duration: time.Second, Topology: layout(t, "dc1-3")},
			"no fault fits into 1s at an interval of 5s; give it more time"},
		{Options{Duration: time.Minute, Interval: time.Millisecond, Topology: layout(t, "dc1-3")},
			"the interval of faults is 1ms; the least is 100ms"},
	} {
		_, err := Generate(c.o)
		require.EqualError(t, err, c.want)
	}
}

// A system that does not say who leads is asked for nothing that aims at a leader.
func TestGenerateAsksNoMoreThanTheSystemCanDo(t *testing.T) {
	layout, err := topologies.Load("dc1-3")
	require.NoError(t, err)
	cannot := func(history.Ability) bool { return false }
	for seed := range uint64(10) {
		s, err := Generate(Options{Seed: seed, Duration: 10 * time.Minute, Topology: layout, Can: cannot})
		require.NoError(t, err)
		require.Greater(t, len(s.Steps), 20)
		require.NoError(t, s.CheckAbilities("small", cannot))
		all, err := Generate(Options{Seed: seed, Duration: time.Minute, Topology: layout, Can: func(history.Ability) bool { return true }})
		require.NoError(t, err)
		plain, err := Generate(Options{Seed: seed, Duration: time.Minute, Topology: layout})
		require.NoError(t, err)
		require.Equal(t, plain, all)
	}
	_, err = Generate(Options{Seed: 1, Families: []string{"transfer"}, Duration: time.Minute, Topology: layout, Can: cannot})
	require.EqualError(t, err, "faults of the family transfer ask for more than the system can do")
}

// A step that shows a join lasts as long as the system may take, and the times of a system that takes none are as before.
func TestJoinsLastAsLongAsTheSystemTakes(t *testing.T) {
	layout, err := topologies.Load("dc1-3x2")
	require.NoError(t, err)
	joins := 0
	for seed := range uint64(30) {
		o := Options{Seed: seed, Families: []string{"join", "kill", "replace", "leave"}, Duration: 5 * time.Minute, Topology: layout, MemberChange: 12 * time.Second}
		s, err := Generate(o)
		require.NoError(t, err)
		free := time.Duration(0)
		for _, step := range s.Steps {
			require.GreaterOrEqual(t, step.At, free, "whoever joins is left the time for it")
			if kind := step.Fault.Kind(); kind.AddsVoters || kind.RemovesVoters {
				free = step.At + step.For + o.MemberChange
			}
			if step.Name() == "join" {
				joins++
				require.GreaterOrEqual(t, step.For, 13*time.Second)
			}
		}
	}
	require.Greater(t, joins, 30)
}
