package nemesis

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

const everyMember = `steps:
  - {at: 1s, for: 4s, fault: join, target: spare}
  - {at: 2s, for: 5s, fault: remove, target: primary}
  - {at: 9s, for: 2s, fault: replace, target: one, draw: 1}
  - {at: 13s, for: 2s, fault: power-loss, target: all}
  - {at: 17s, for: 6s, fault: rolling-restart, target: all}
  - {at: 25s, for: 5s, fault: restart-storm, target: one, draw: 2}
  - {at: 26s, for: 1s, fault: pause, target: [dc1-s1]}
`

func TestMembershipTellsItsStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3x2"))
		p := play(t, t.Context(), f, parse(t, everyMember))
		require.NoError(t, p.err)
		require.Len(t, p.faults, 7)
		for _, fault := range p.faults {
			require.True(t, fault.Verified && fault.HealVerified, "%+v", fault)
		}
		require.True(t, p.baseline.Verified)
		require.True(t, f.now.Equal(f.topology.Baseline()))
		golden(t, "members.txt", p.story(f))
	})
}

func TestMembershipThatDoesNotShowIsNotProved(t *testing.T) {
	for _, c := range []struct {
		name, step  string
		lie         func(f *fake)
		start, heal string // in the errors; empty if it is proved
	}{
		{"a spare that does not join", "{at: 1s, for: 5s, fault: join, target: spare}",
			func(f *fake) { f.shy["dc1-x1"] = true }, "dc1-x1 does not vote", ""},
		{"a spare that does not leave", "{at: 1s, for: 5s, fault: join, target: spare}",
			func(f *fake) { f.stay = nodes.Errorf(history.NotReady, "starting") }, "", "dc1-x1 did not leave"},
		{"a peer that stays", "{at: 1s, for: 20s, fault: remove, target: one}",
			func(f *fake) { f.clinging = true }, "dc1-s1 is still a peer", ""},
		{"a newcomer that nobody takes in", "{at: 1s, for: 5s, fault: remove, target: one}",
			func(f *fake) {
				time.AfterFunc(3*time.Second, func() {
					f.mu.Lock()
					defer f.mu.Unlock()
					f.shy["dc1-s1"] = true
				})
			}, "", "dc1-s1 does not vote"},
		{"one that left and that nobody takes in", "{at: 1s, for: 5s, fault: leave, target: one}",
			func(f *fake) { lateVoter(f, "dc1-s1", 10*time.Minute) }, "", "dc1-s1 does not vote"},
		{"a server that does not come back", "{at: 1s, for: 20s, fault: rolling-restart, target: [dc1-s2]}",
			func(f *fake) { f.shy["dc1-s2"] = true; delete(f.peers, "dc1-s2") }, "dc1-s2 is not back", ""},
		{"a storm without kills", "{at: 1s, for: 5s, fault: restart-storm, target: one}",
			func(f *fake) { f.immortal["dc1-s1"] = true }, "dc1-s1 is running, not killed", ""},
		{"a machine that keeps running", "{at: 1s, for: 5s, fault: replace, target: one}",
			func(f *fake) { f.immortal["dc1-s1"] = true }, "dc1-s1 is running, not absent", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, "dc1-3x2"))
				c.lie(f)
				p := play(t, t.Context(), f, parse(t, "steps:\n  - "+c.step+"\n"))
				require.NoError(t, p.err)
				require.Len(t, p.faults, 1)
				require.Equal(t, c.start == "", p.faults[0].Verified, "%+v", p.faults[0])
				require.Equal(t, c.heal == "", p.faults[0].HealVerified, "%+v", p.faults[0])
				require.Contains(t, p.faults[0].Error, c.start+c.heal)
			})
		})
	}
}

// TestTheScheduleGoesOnBesideWork: a newcomer is taken in only when a later step is healed.
func TestTheScheduleGoesOnBesideWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		f.shy["dc1-s3"] = true
		time.AfterFunc(8*time.Second, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			delete(f.shy, "dc1-s3")
			f.joinAll()
		})
		p := play(t, t.Context(), f, parse(t, `steps:
  - {at: 1s, for: 2s, fault: replace, target: [dc1-s3]}
  - {at: 5s, for: 2s, fault: kill, target: one}
`))
		require.NoError(t, p.err)
		for _, fault := range p.faults {
			require.True(t, fault.Verified && fault.HealVerified, "%+v", fault)
			require.True(t, fault.Kills)
			require.Equal(t, fault.Name == "replace", fault.Wipes)
		}
		require.Equal(t, "dc1-s1 not running", p.faults[1].Measured, "not late")
		require.Greater(t, p.faults[0].Healed, p.faults[1].Healed)
	})
}

// TestAMajorityOfVotersStays is a table of schedules and what is said of them.
func TestAMajorityOfVotersStays(t *testing.T) {
	for _, c := range []struct{ layout, steps, want string }{
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: one}", ""},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1, dc1-s2]}",
			"t:2: at 1s replace [dc1-s1, dc1-s2] would leave 1 of the 3 voters of dc1, which is no majority; below-majority: true lets a step do so"},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1, dc1-s2], below-majority: true}", ""},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1]}|{at: 2s, for: 3s, fault: remove, target: [dc1-s2]}",
			"t:3: at 2s replace [dc1-s1] and remove [dc1-s2] would leave 1 of the 3 voters"},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1]}|{at: 2s, for: 3s, fault: leave, target: primary}", "leave 1 of the 3"},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1]}|{at: 4s, for: 3s, fault: leave, target: primary}", ""},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1]}|{at: 2s, for: 3s, fault: leave, target: [dc1-s1]}", ""},
		{"dc1-3", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1]}|{at: 2s, for: 1s, fault: kill, target: all}", ""},
		{"dc1-5", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1, dc1-s2]}", ""},
		{"dc1-5", "{at: 1s, for: 3s, fault: replace, target: [dc1-s1, dc1-s2]}|{at: 2s, for: 1s, fault: remove, target: primary}", "leave 2 of the 5"},
		{"dc1-3x2", "{at: 1s, for: 9s, fault: join, target: [dc1-x1, dc1-x2]}|{at: 2s, for: 3s, fault: remove, target: [dc1-s1, dc1-s2]}", ""},
		{"dc1-3x2", "{at: 1s, for: 3s, fault: join, target: [dc1-x1, dc1-x2]}|{at: 2s, for: 5s, fault: remove, target: [dc1-s1, dc1-s2]}",
			"at 4s remove [dc1-s1, dc1-s2] would leave 1 of the 3"},
		{"dc1-3x2", "{at: 1s, for: 3s, fault: remove, target: [dc1-s1]}|{at: 1s, for: 9s, fault: remove, target: [dc1-x1]}", ""},
	} {
		s, err := Parse("t", []byte("steps:\n  - "+strings.ReplaceAll(c.steps, "|", "\n  - ")+"\n"))
		require.NoError(t, err)
		err = s.Check(layout(t, c.layout), everything)
		if c.want == "" {
			require.NoError(t, err, c.steps)
			continue
		}
		require.ErrorContains(t, err, c.want)
		_, err = Play(t.Context(), s, World{Topology: layout(t, c.layout)})
		require.ErrorContains(t, err, c.want)
	}
}

func TestGapsAreTheDraws(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range uint64(1000) {
		g := gap(7, i, leastUp, mostUp)
		require.Equal(t, g, gap(7, i, leastUp, mostUp))
		require.GreaterOrEqual(t, g, leastUp)
		require.LessOrEqual(t, g, mostUp)
		seen[g] = true
	}
	require.Greater(t, len(seen), 990)
	require.NotEqual(t, gap(7, 0, leastUp, mostUp), gap(8, 0, leastUp, mostUp))
}

func TestPowerLossTearsEachDiskByItsOwnDraw(t *testing.T) {
	c := Step{Fault: PowerLoss{Torn: true}, Target: Target{Word: All}}.alone(layout(t, "dc1-3"))
	seeds := map[uint64]bool{}
	for _, d := range c.Disks {
		require.NotZero(t, d.Torn)
		seeds[d.Torn] = true
	}
	require.Len(t, seeds, 3)
	require.Equal(t, "dc1-s1 names posix at a loss of power, dc1-s1 off",
		Step{Fault: PowerLoss{Names: "posix"}, Target: Names("dc1-s1")}.alone(layout(t, "dc1-3")).String())
	require.Equal(t, "dc1-s1 off, dc1-s2 off, dc1-s3 off", Step{Fault: PowerLoss{}, Target: Target{Word: All}}.alone(layout(t, "dc1-3")).String())
}

func TestSparesInDraws(t *testing.T) {
	with, without := layout(t, "dc1-3x2"), layout(t, "dc1-3")
	for draw := range uint64(48) {
		require.Equal(t, drawn(without, draw).servers, drawn(with, draw).servers)
	}
	require.Equal(t, []string{"dc1-x2"}, Join{}.Nodes(with, Step{Target: Target{Word: Spare}, Draw: 3}))
	require.Equal(t, []string{"dc1-s1", "dc1-s2", "dc1-s3"}, Kill{}.Nodes(with, Step{Target: Target{Word: All}}))
	side := fmt.Sprint(Partition{}.Nodes(with, Step{Target: Target{Word: One}}))
	require.Equal(t, "[dc1-s1]", side, "spares stand with the others")
	require.Equal(t, []string{"dc1-x1"}, Partition{}.ExpandPrimary(with, Step{Target: Target{Word: Primary}}, "dc1-x1")[:1], "one that leads is cut off")
}
