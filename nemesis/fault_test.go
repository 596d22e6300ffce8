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
	require.True(t, slices.IsSortedFunc(table, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) }))
	require.True(t, slices.IsSortedFunc(families, func(a, b Family) int { return strings.Compare(a.Name, b.Name) }))
	for _, f := range table {
		require.NotEmpty(t, f.Doc, f.Name)
		require.True(t, slices.IsSorted(f.Targets), f.Name)
		require.Subset(t, words, f.Targets, f.Name)
		require.Equal(t, f.Momentary, f.Edit == nil && f.Base == nil && f.Work == nil, f.Name)
		i := slices.IndexFunc(families, func(fam Family) bool { return fam.Name == f.Family })
		require.GreaterOrEqual(t, i, 0, f.Name)
		require.Contains(t, families[i].Faults, f.Name)
	}
	for _, fam := range families {
		for _, v := range fam.variants {
			require.Contains(t, fam.Faults, v.fault)
			on := layout(t, "dc1-5c2")
			if v.target == Spare {
				on = layout(t, "dc1-3x2")
			}
			require.NoError(t, Schedule{Steps: []Step{v.step(on, 0)}}.checkSteps(on))
		}
	}
}

func TestWhatAFaultNeedsIsDeclared(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	for _, f := range table {
		for _, reject := range []bool{false, true} {
			for _, kind := range append(slices.Clone(f.Kinds), Step{Link: badLink, File: "raft/*"}) {
				s := f.rehearsed(topology, Step{Fault: f.Name, Target: Names("dc1-s1"), Reject: reject}.ofKind(kind))
				require.Subset(t, f.Needs, f.alone(topology, s).Needs(), f.Name)
			}
		}
	}
}

// TestWhoHearsWhom draws every partition: a row is a node, and the marks in it are whom
// it hears. A dot is a link that is cut.
func TestWhoHearsWhom(t *testing.T) {
	var out strings.Builder
	for _, name := range []string{"dc1-3c2", "dc1-5c2"} {
		topology := layout(t, name)
		for _, word := range partition.Targets {
			for _, s := range []Step{{}, {Draw: 59}, {OneWay: In}, {OneWay: Out}} {
				s.Fault, s.Target = "partition", Target{Word: word}
				if partitionSuits(topology, s) != nil {
					continue
				}
				label := s.Label()
				if s.Target.Word == Primary {
					s = partition.led(topology, s, "dc1-s2")
				}
				fmt.Fprintf(&out, "%s: %s draw %d: %s\n%s\n", name, label, s.Draw,
					strings.Join(partitionNodes(topology, s), " "), matrix(topology, partition.alone(topology, s)))
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
		c := partition.alone(topology, Step{Fault: "partition", Target: Target{Word: Ring}, Draw: 12345})
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
		return processNodes(topology, Step{Target: Target{Word: word}, Draw: draw})
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
		for _, way := range []string{"", In, Out} {
			s := Step{Fault: "partition", Target: Target{Word: Primary}, Draw: draw, OneWay: way}
			leader := drawn(topology, draw).servers[0]
			named := partition.led(topology, s, leader)
			require.Equal(t, partition.alone(topology, s), partition.alone(topology, named))
			require.Equal(t, partition.Nodes(topology, s), partition.Nodes(topology, named))
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
		for _, way := range []string{"", In, Out} {
			cut := partition.alone(topology, Step{Fault: "partition", Target: target, OneWay: way, Draw: 59})
			shaped := link.alone(topology, Step{Fault: "link", Target: target, OneWay: way, Draw: 59, Link: badLink})
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
	every := link.alone(topology, Step{Fault: "link", Target: Target{Word: All}, Link: badLink})
	require.Len(t, every.Links, 7*6)
}

// TestResolvedLinksKeepTheirSeed is what makes a resolved schedule replay the same losses.
func TestResolvedLinksKeepTheirSeed(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	s := Step{Fault: "link", Target: Target{Word: Primary}, Draw: 7, Link: badLink}
	named := link.led(topology, s, "dc1-s3")
	require.NoError(t, Schedule{Steps: []Step{{At: 1, For: 1, Fault: "link", Target: named.Target, Draw: named.Draw, Link: badLink}}}.
		Check(topology, everything))
	require.Equal(t, seedOf(faults.Pair{From: "dc1-s3", To: "dc1-s1"}, 7),
		link.alone(topology, named).Links[faults.Pair{From: "dc1-s3", To: "dc1-s1"}].Seed)
}
