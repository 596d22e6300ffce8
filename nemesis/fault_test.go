package nemesis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
)

func TestTablesAreSortedAndAgree(t *testing.T) {
	require.True(t, slices.IsSorted(faultNames()))
	require.True(t, slices.IsSortedFunc(families, func(a, b Family) int { return strings.Compare(a.Name, b.Name) }))
	for _, f := range table {
		kind := f.Kind()
		require.NotEmpty(t, kind.Doc, kind.Name)
		require.True(t, slices.IsSorted(kind.Targets), kind.Name)
		require.Subset(t, words, kind.Targets, kind.Name)
		require.Equal(t, kind.Momentary, !changes(f), kind.Name)
		i := slices.IndexFunc(families, func(fam Family) bool { return fam.Name == kind.Family })
		require.GreaterOrEqual(t, i, 0, kind.Name)
		require.Contains(t, families[i].Faults, kind.Name)
	}
	for _, fam := range families {
		for _, v := range fam.variants {
			require.Contains(t, fam.Faults, v.fault)
			on := layout(t, "dc1-5c2")
			if v.target == Spare {
				on = layout(t, "dc1-3x2")
			}
			at := place{}
			if between := v.target == betweenTwo; between || slices.Contains([]string{Datacenter, WAN}, v.target) || fam.Name == "wan" {
				on = layout(t, "dc2-3x3c2")
				at = Options{Topology: on}.places(v)[0]
			}
			require.NoError(t, Schedule{Steps: []Step{v.step(on, at, 0)}}.checkSteps(on))
		}
	}
}

func TestWhatAFaultNeedsIsDeclared(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	all := append(slices.Clone(table), Link{Link: badLink}, Partition{Reject: true}, BitFlip{damage{File: "raft/*"}}, Truncate{damage{File: "raft/*"}})
	for _, f := range all {
		for _, fault := range append(samplesOf(f), f) {
			s := Step{Fault: fault, Target: Names("dc1-s1")}.rehearsed(topology)
			require.Subset(t, f.Kind().Needs, s.alone(topology).Needs(), f.Kind().Name)
		}
	}
}

// TestWhoHearsWhom draws every partition: a row is a node, and the marks in it are whom
// it hears. A dot is a link that is cut.
func TestWhoHearsWhom(t *testing.T) {
	var out strings.Builder
	for _, name := range []string{"dc1-3c2", "dc1-5c2"} {
		topology := layout(t, name)
		for _, word := range (Partition{}).Kind().Targets {
			for _, s := range []Step{{Fault: Partition{}}, {Fault: Partition{}, Draw: 59}, {Fault: Partition{OneWay: In}}, {Fault: Partition{OneWay: Out}}} {
				s.Target = Target{Word: word}
				if s.Target.crosses() || checkSides(topology, s, "") != nil || isRole(word) && word != Primary { // all roles are alike
					continue
				}
				label := s.Label()
				if s.Target.Word == Primary {
					s = s.led(topology, "dc1-s2")
				}
				fmt.Fprintf(&out, "%s: %s draw %d: %s\n%s\n", name, label, s.Draw,
					strings.Join(s.Fault.Nodes(topology, s), " "), matrix(topology, s.alone(topology)))
			}
		}
	}
	golden(t, "partitions.txt", out.String())
}

func matrix(t topologies.Topology, c faults.Conditions) string {
	var out strings.Builder
	for _, to := range t.Nodes() {
		fmt.Fprintf(&out, "  %s  ", to.Name)
		for _, from := range t.Nodes() {
			mark := strings.TrimPrefix(from.Name, from.DC+"-")
			if c.Links[faults.Pair{From: from.Name, To: to.Name}].Drop {
				mark = " ."
			}
			out.WriteString(" " + mark)
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestRingShowsEveryServerAnotherMajority(t *testing.T) {
	for servers := 5; servers <= 9; servers++ {
		topology := topologies.Topology{Name: "ring", Datacenters: []topologies.Datacenter{
			{Name: "dc1", Servers: topologies.Members{Count: servers}}}}
		c := Step{Fault: Partition{}, Target: Target{Word: Ring}, Draw: 12345}.alone(topology)
		views := map[string]bool{}
		for _, to := range topology.Nodes() {
			var view []string
			for _, from := range topology.Nodes() {
				require.Equal(t, c.Links[faults.Pair{From: from.Name, To: to.Name}], c.Links[faults.Pair{From: to.Name, To: from.Name}])
				if !c.Links[faults.Pair{From: from.Name, To: to.Name}].Drop {
					view = append(view, from.Name)
				}
			}
			require.GreaterOrEqual(t, len(view), majorityOf(servers))
			require.Less(t, len(view), servers)
			views[strings.Join(view, " ")] = true
		}
		require.Len(t, views, servers)
	}
}

func TestDrawIsAnOrder(t *testing.T) {
	topology := layout(t, "dc1-3c2")
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3"}, drawn(topology, 0).servers)
	require.Equal(t, []string{"dc1-s3", "dc1-s1", "dc1-s2"}, drawn(topology, 2).servers)
	seen := map[string]bool{}
	for draw := range uint64(3 * 2 * 2 * 2) {
		o := drawn(topology, draw)
		seen[fmt.Sprint(o)] = true
		require.ElementsMatch(t, []string{"dc1-c1", "dc1-c2"}, o.clients)
	}
	require.Len(t, seen, 3*2*2*2, "every order of servers and clients, and both ways to deal, once")
}

func TestProcessTargets(t *testing.T) {
	three, five := layout(t, "dc1-3c2"), layout(t, "dc1-5")
	hit := func(topology topologies.Topology, word string, draw uint64) []string {
		return Kill{}.Nodes(topology, Step{Target: Target{Word: word}, Draw: draw})
	}
	require.Equal(t, []string{"dc1-s2"}, hit(three, One, 1))
	require.Equal(t, []string{"dc1-s1"}, hit(five, Minority, 0))
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3"}, hit(five, Majority, 0))
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3", "dc1-c1", "dc1-c2"}, hit(three, All, 0))
}

// TestNamesSayWhatThePrimaryWas is what makes a resolved schedule replay: the leader and
// its client agents by name are cut off just as the first of the drawn order would be.
func TestNamesSayWhatThePrimaryWas(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	for draw := range uint64(480) {
		for _, way := range []OneWay{"", In, Out} {
			s := Step{Fault: Partition{OneWay: way}, Target: Target{Word: Primary}, Draw: draw}
			leader := drawn(topology, draw).servers[0]
			named := s.led(topology, leader)
			require.Equal(t, s.alone(topology), named.alone(topology))
			require.Equal(t, s.Fault.Nodes(topology, s), named.Fault.Nodes(topology, named))
		}
	}
}

// badLink has everything at once.
var badLink = faults.Link{Loss: 0.1, BurstLoss: 0.1, Burst: 4, Rate: 100_000, Delay: 40 * time.Millisecond,
	Jitter: 10 * time.Millisecond, Scramble: true, Reorder: 0.1, Duplicate: 0.1, Corrupt: 0.1}

// TestLinksAreThoseOfAPartition compares whom the two faults hit, for every target.
func TestLinksAreThoseOfAPartition(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	for _, target := range []Target{{Word: Bridge}, {Word: Ring}, {Word: Majority}, {Word: Minority}, {Word: One}, {Word: Primary},
		Names("dc1-s2", "dc1-c1")} {
		for _, way := range []OneWay{"", In, Out} {
			cut := Step{Fault: Partition{OneWay: way}, Target: target, Draw: 59}.alone(topology)
			shaped := Step{Fault: Link{OneWay: way, Link: badLink}, Target: target, Draw: 59}.alone(topology)
			require.ElementsMatch(t, slices.Collect(maps.Keys(cut.Links)), slices.Collect(maps.Keys(shaped.Links)))
			seeds := map[uint64]bool{}
			for _, state := range shaped.Links {
				seeds[state.Seed] = true
				state.Seed = 0
				require.Equal(t, badLink, state)
			}
			require.Len(t, seeds, len(shaped.Links), "every link has random numbers of its own")
		}
	}
	every := Step{Fault: Link{Link: badLink}, Target: Target{Word: All}}.alone(topology)
	require.Len(t, every.Links, 7*6)
}

// TestResolvedLinksKeepTheirSeed is what makes a resolved schedule replay the same losses.
func TestResolvedLinksKeepTheirSeed(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	s := Step{Fault: Link{Link: badLink}, Target: Target{Word: Primary}, Draw: 7}
	named := s.led(topology, "dc1-s3")
	require.NoError(t, Schedule{Steps: []Step{{At: 1, For: 1, Fault: Link{Link: badLink}, Target: named.Target, Draw: named.Draw}}}.
		Check(topology, everything))
	require.Equal(t, seedOf(faults.Pair{From: "dc1-s3", To: "dc1-s1"}, 7),
		named.alone(topology).Links[faults.Pair{From: "dc1-s3", To: "dc1-s1"}].Seed)
}
