package nemesis

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

func step(t *testing.T, text string) Step {
	t.Helper()
	return parse(t, "steps:\n  - {at: 1s, for: 4s, "+text+"}\n").Steps[0]
}

// Of several datacenters a partition is drawn within one, or between them.
func TestWhoHearsWhomBetweenDatacenters(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct{ on, step string }{
		{"dc2-3x3c2", "target: one, dc: dc2"},
		{"dc2-3x3c2", "target: [dc2-s2], dc: dc2"},
		{"dc2-3x3c2", "target: [dc2-s2]"},
		{"dc3-3x3x3", "target: datacenter, dc: dc2"},
		{"dc3-3x3x3", "target: datacenter, dc: dc2, oneway: in"},
		{"dc3-3x3x3", "target: wan"},
		{"dc3-3x3x3", "between: [dc1, dc3]"},
		{"dc3-3x3x3", "between: [dc3, dc1], oneway: out"},
	} {
		topology := layout(t, c.on)
		s := step(t, "fault: partition, "+c.step)
		require.NoError(t, s.check(topology), c.step)
		fmt.Fprintf(&out, "%s: %s: %s\n%s\n", c.on, s.Label(), strings.Join(s.nodes(topology), " "), wideMatrix(topology, s))
	}
	golden(t, "datacenters.txt", out.String())
}

// wideMatrix is matrix with the whole names of nodes.
func wideMatrix(t topologies.Topology, s Step) string {
	t.Links = nil
	return matrix(t, s.alone(t))
}

func TestWordsAreOfADatacenter(t *testing.T) {
	topology := layout(t, "dc2-3x3c2")
	for text, want := range map[string]string{
		"fault: kill, target: one, dc: dc2":                       "dc2-s1",
		"fault: kill, target: minority, dc: dc2, draw: 2":         "dc2-s3",
		"fault: kill, target: majority, dc: dc1":                  "dc1-s1 dc1-s2",
		"fault: kill, target: all, dc: dc2":                       "dc2-s1 dc2-s2 dc2-s3 dc2-c1 dc2-c2",
		"fault: kill, target: all":                                "dc1-s1 dc1-s2 dc1-s3 dc1-c1 dc1-c2 dc2-s1 dc2-s2 dc2-s3 dc2-c1 dc2-c2",
		"fault: rolling-restart, target: all, dc: dc2":            "dc2-s1 dc2-s2 dc2-s3",
		"fault: link, target: all, dc: dc1, delay: 40ms":          "dc1-s1 dc1-s2 dc1-s3 dc1-c1 dc1-c2",
		"fault: partition, between: [dc1, dc2]":                   "dc1-s1 dc1-s2 dc1-s3 dc1-c1 dc1-c2 dc2-s1 dc2-s2 dc2-s3 dc2-c1 dc2-c2",
		"fault: partition, target: datacenter, dc: dc2":           "dc2-s1 dc2-s2 dc2-s3 dc2-c1 dc2-c2",
		"fault: link, target: wan, loss: 0.1":                     "dc1-s1 dc1-s2 dc1-s3 dc1-c1 dc1-c2 dc2-s1 dc2-s2 dc2-s3 dc2-c1 dc2-c2",
		"fault: pause, target: [dc1-s1, dc2-c1]":                  "dc1-s1 dc2-c1",
		"fault: clock, target: one, dc: dc1, offset: 1h, draw: 1": "dc1-s2",
	} {
		s := step(t, text)
		require.NoError(t, s.check(topology), text)
		require.Equal(t, want, strings.Join(s.nodes(topology), " "), text)
		again := parse(t, Schedule{Steps: []Step{s}}.String())
		require.True(t, again.Equal(Schedule{Steps: []Step{s}}), text)
	}
	s := step(t, "fault: link, target: all, dc: dc1, delay: 40ms")
	for pair := range s.alone(topology).Links {
		require.True(t, strings.HasPrefix(pair.From, "dc1-") && strings.HasPrefix(pair.To, "dc1-"), pair)
	}
	require.Equal(t, "kill primary of dc2", step(t, "fault: kill, target: primary, dc: dc2").Label())
	require.Equal(t, "partition between [dc1, dc2] in", step(t, "fault: partition, between: [dc1, dc2], oneway: in").Label())
}

func TestWhereAStepIsHasToBeSaid(t *testing.T) {
	for _, c := range []struct{ on, step, want string }{
		{"dc2-3x3", "fault: kill, target: primary", "dc is missing: primary is of one of the datacenters dc1, dc2; add, for example, dc: dc1"},
		{"dc2-3x3", "fault: partition, target: minority", "dc is missing: minority is of one of the datacenters dc1, dc2; add, for example, dc: dc1"},
		{"dc2-3x3", "fault: deposed-leader-reads", "dc is missing: primary is of one of the datacenters dc1, dc2; add, for example, dc: dc1"},
		{"dc2-3x3", "fault: kill, target: all, when: leader-lost", "dc is missing: leader-lost is of one of the datacenters dc1, dc2; add, for example, dc: dc1"},
		{"dc2-3x3", "fault: kill, target: one, dc: dc3", "no datacenter dc3 in dc2-3x3; there are dc1, dc2"},
		{"dc2-3x3", "fault: kill, target: [dc1-s1], dc: dc2", "node dc1-s1 is in dc1, not in dc2"},
		{"dc2-3x3", "fault: leave, target: [dc1-s1, dc2-s1]", "leave takes servers of one datacenter, not [dc1-s1, dc2-s1]"},
		{"dc2-3x3", "fault: partition, between: [dc1, dc3]", "no datacenter dc3 in dc2-3x3; there are dc1, dc2"},
		{"dc2-3x3", "fault: partition, between: [dc1, dc1]", "between takes two datacenters, such as [dc1, dc2]"},
		{"dc2-3x3", "fault: kill, between: [dc1, dc2]", "kill does not take between; it is not about links"},
		{"dc2-3x3", "fault: partition, between: [dc1, dc2], target: wan", "between stands in place of target; leave one of them out"},
		{"dc2-3x3", "fault: partition, between: [dc1, dc2], dc: dc1", "target between [dc1, dc2] says which datacenters are meant; leave out dc"},
		{"dc2-3x3", "fault: partition, target: wan, dc: dc1", "target wan says which datacenters are meant; leave out dc"},
		{"dc2-3x3", "fault: partition, target: wan, oneway: in", "oneway needs two sides; target wan is links of every datacenter"},
		{"dc2-3x3", "fault: partition, target: datacenter", "dc is missing: datacenter is of one of the datacenters dc1, dc2; add, for example, dc: dc1"},
		{"dc1-3", "fault: partition, target: datacenter, dc: dc1", "target datacenter needs several datacenters; dc1-3 has one"},
		{"dc1-3", "fault: partition, target: wan", "target wan needs several datacenters; dc1-3 has one"},
	} {
		require.EqualError(t, step(t, c.step).check(layout(t, c.on)), c.want, c.step)
	}
	for _, fine := range []string{"fault: kill, target: one", "fault: kill, target: one, dc: dc1", "fault: deposed-leader-reads, dc: dc1"} {
		require.NoError(t, step(t, fine).check(layout(t, "dc1-3")))
	}
	require.NoError(t, step(t, "fault: deposed-leader-reads, target: [dc2-s1]").check(layout(t, "dc2-3x3")))
}

// The voters of one datacenter are no help to another.
func TestVotersAreCountedByDatacenter(t *testing.T) {
	topology := layout(t, "dc2-3x3")
	one := "{at: 1s, for: 5s, fault: leave, target: one, dc: dc1}"
	require.NoError(t, parse(t, "steps:\n  - "+one+"\n  - {at: 2s, for: 5s, fault: leave, target: primary, dc: dc2}\n").checkSteps(topology))
	require.ErrorContains(t, parse(t, "steps:\n  - "+one+"\n  - {at: 2s, for: 5s, fault: leave, target: primary, dc: dc1}\n").checkSteps(topology),
		"leave one of dc1 and leave primary of dc1 would leave 1 of the 3 voters of dc1, which is no majority")
}

// The leader, the peer set and the events of a step are those of its datacenter.
func TestARoleIsOfADatacenter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc2-3x3"))
		f.quick = true
		p := play(t, t.Context(), f, parse(t, `steps:
  - {at: 1s, for: 5s, fault: kill, target: primary, dc: dc2}
  - {at: 1s, when: leader-elected, within: 8s, for: 1s, fault: pause, target: new-leader, dc: dc2}
  - {at: 1s, when: leader-elected, within: 4s, for: 1s, fault: pause, target: new-leader, dc: dc1}
  - {at: 10s, fault: transfer, dc: dc1}
  - {at: 12s, for: 2s, fault: remove, target: one, dc: dc2}
  - {at: 20s, for: 10s, fault: rolling-restart, target: all}
`))
		require.NoError(t, p.err)
		require.Equal(t, []string{"dc2-s1"}, p.resolved.Steps[0].Target.Names)
		require.Equal(t, []string{"dc2-s2"}, p.resolved.Steps[1].Target.Names)
		require.True(t, p.resolved.Steps[2].Skip, "nobody was elected in dc1")
		require.Equal(t, []string{"dc1-s1"}, p.resolved.Steps[3].Target.Names)
		for _, fault := range p.faults {
			require.True(t, fault.Verified || fault.Step == 2, "%+v", fault)
		}
		require.NoError(t, p.resolved.Check(f.topology, everything), "what was played replays")
	})
}

func TestGenerateDrawsDatacenters(t *testing.T) {
	for _, swarm := range []bool{false, true} {
		seen := map[string]int{}
		for seed := range uint64(25) {
			o := Options{Seed: seed, Duration: 2 * time.Minute, Topology: layout(t, "dc3-3x3x3"), Swarm: swarm}
			s, err := Generate(o)
			require.NoError(t, err)
			require.NoError(t, s.Check(o.Topology, everything), "%s", s)
			if seed < 3 {
				again, err := Generate(o)
				require.NoError(t, err)
				require.Equal(t, s, again)
			}
			for _, step := range s.Steps {
				seen[step.DC]++
				seen[strings.Join(step.Target.Between, "-")]++
			}
		}
		for _, want := range []string{"", "dc1", "dc2", "dc3", "dc1-dc2", "dc1-dc3", "dc2-dc3"} {
			require.Positive(t, seen[want], want)
		}
	}
}

// Of a link that flaps, every time is measured: one that stays up is not proved to flap.
func TestALinkFlaps(t *testing.T) {
	const flapping = "steps:\n  - {at: 1s, for: 9s, fault: flap, between: [dc1, dc2], cycle: 3s}\n"
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc2-3x3"))
		p := play(t, t.Context(), f, parse(t, flapping))
		require.NoError(t, p.err)
		require.True(t, p.faults[0].Verified, "%+v", p.faults[0])
		cuts := 0
		for _, e := range f.events {
			if strings.Contains(e, "dropped") {
				cuts++
				require.Equal(t, 18, strings.Count(e, "dropped"), "each link between the datacenters")
			}
		}
		require.Equal(t, 3, cuts)
	})
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc2-3x3"))
		f.obey = func(faults.Conditions) faults.Conditions { return f.topology.Baseline() }
		p := play(t, t.Context(), f, parse(t, flapping))
		require.NoError(t, p.err)
		require.False(t, p.faults[0].Verified, "it never goes down")
	})
}

func TestARemoteLeaderIsKilledWithWorkOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		young, through int
		want           string
	}{
		"some":               {young: 2, through: 2},
		"none are under way": {want: "waited for 2 operations for dc2, asked of other datacenters"},
		"one ended before":   {young: 2, through: 1, want: "operations of other datacenters under way at the kill: 1, and at least 2 were asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, "dc2-3x3"))
				sink := history.NewMemory()
				_, err := Play(t.Context(), parse(t, "steps:\n  - {at: 1s, fault: remote-leader-kill, dc: dc2, operations: 2}\n"),
					World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Log: sink, Forwarded: func(dc string, from, to time.Time) int {
						require.Equal(t, "dc2", dc)
						switch to.Sub(from) {
						case 0:
							return c.young
						case youngest:
							return 0
						}
						return c.through
					}})
				require.NoError(t, err)
				all, _, err := history.Faults(sink.Events())
				require.NoError(t, err)
				require.Equal(t, c.want == "", all[0].Verified)
				require.Contains(t, fmt.Sprintf("%+v", all[0]), c.want)
			})
		})
	}
}

// Traffic is what the system says of its ports.
func TestOnlySomeTraffic(t *testing.T) {
	topology := layout(t, "dc2-3x3")
	s := parse(t, "steps:\n  - {at: 1s, for: 2s, fault: partition, between: [dc1, dc2], only: gossip, oneway: out}\n")
	pair := faults.Pair{From: "dc1-s1", To: "dc2-s2"}
	require.NoError(t, s.Check(topology, everything))
	require.Equal(t, faults.Link{Ports: "8301,8302"}, s.Steps[0].alone(topology).Links[pair])
	other, err := s.OnPorts("mine", TrafficPorts{Gossip: "7946"})
	require.NoError(t, err)
	require.Equal(t, faults.Link{Ports: "7946"}, other.Steps[0].alone(topology).Links[pair])
	require.Equal(t, s.String(), other.String())
	_, err = s.OnPorts("etcd", TrafficPorts{RPC: "2380"})
	require.EqualError(t, err, "test.yaml:2: step 0: partition between [dc1, dc2] out only gossip: etcd sends no gossip to ports of its own")
	require.EqualError(t, step(t, "fault: partition, between: [dc1, dc2], only: raft").check(topology), `only is "raft", not gossip or rpc`)
	require.EqualError(t, step(t, "fault: partition, between: [dc1, dc2], only: rpc, reject: true").check(topology), "reject is of all packets; leave it out beside only")
	require.EqualError(t, step(t, "fault: remote-leader-kill").check(layout(t, "dc1-3")), "remote-leader-kill needs several datacenters; dc1-3 has one")
	require.EqualError(t, step(t, "fault: flap, between: [dc1, dc2], cycle: 3s").check(topology), "for is 4s: want at least 7s, two cycles and a second")
}
