package nemesis

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// waited plays steps on a cluster that elects by itself, and returns what came of them and what was skipped.
func waited(t *testing.T, f *fake, steps string) (played, []history.Skip) {
	t.Helper()
	f.quick, f.sloth = true, 10*time.Millisecond
	p := play(t, t.Context(), f, parse(t, "steps:\n  - "+strings.ReplaceAll(steps, "\n", "\n  - ")+"\n"))
	require.NoError(t, p.err)
	skipped, err := history.Skipped(p.events)
	require.NoError(t, err)
	return p, skipped
}

const killsLeader = "{at: 1s, for: 5s, fault: kill, target: primary}\n"

func TestStepsThatWait(t *testing.T) {
	for _, c := range []struct {
		name, steps string
		lie         func(f *fake)
		at          time.Duration // about when the last step begins; 0: it is skipped
		target      string        // that the last step then has
		fired, why  string
	}{
		{"for an election", killsLeader + "{at: 1s, when: leader-elected, after: 120ms, for: 1s, fault: pause, target: new-leader}",
			nil, 2150 * time.Millisecond, "[dc1-s2]", "leader-elected", ""},
		{"for a loss", killsLeader + "{at: 1s, when: leader-lost, for: 1s, fault: pause, target: follower, draw: 2}",
			nil, 1080 * time.Millisecond, "[dc1-s3]", "leader-lost", ""},
		{"whoever led is known when nobody does", killsLeader + "{at: 1s, when: leader-lost, for: 1s, fault: partition, target: former-leader}",
			nil, 1080 * time.Millisecond, "[dc1-s1]", "leader-lost", ""},
		{"whoever led before", killsLeader + "{at: 3s, for: 1s, fault: pause, target: former-leader, optional: true}",
			nil, 3 * time.Second, "[dc1-s1]", "", ""},
		{"for one that is to be elected first", killsLeader + "{at: 1.5s, for: 1s, fault: pause, target: new-leader, optional: true}",
			nil, 2050 * time.Millisecond, "[dc1-s2]", "", ""},
		{"for a leader that is not there yet", killsLeader + "{at: 1.5s, for: 1s, fault: pause, target: primary, optional: true}",
			nil, 2050 * time.Millisecond, "[dc1-s2]", "", ""},
		{"for members", "{at: 1s, for: 5s, fault: leave, target: [dc1-s3]}\n{at: 500ms, when: config-change, for: 1s, fault: pause, target: one}",
			nil, 1100 * time.Millisecond, "one", "config-change", ""},
		{"the laggard", "{at: 1s, for: 1s, fault: pause, target: lagging, optional: true}",
			func(f *fake) { f.applied = map[string]uint64{"dc1-s1": 1, "dc1-s2": 9, "dc1-s3": 7} }, time.Second, "[dc1-s3]", "", ""},
		{"an election that was before", killsLeader + "{at: 3s, when: leader-elected, within: 2s, for: 1s, fault: pause, target: one}",
			nil, 0, "one", "", "not done: leader-elected did not come"},
		{"a trigger that comes too late", killsLeader + "{at: 500ms, when: leader-elected, within: 1s, for: 1s, fault: pause, target: one}",
			nil, 0, "one", "", "not done: leader-elected did not come"},
		{"a trigger whose time after is too late", killsLeader + "{at: 1s, when: leader-elected, after: 3s, within: 2s, for: 1s, fault: pause, target: one}",
			nil, 0, "one", "", "not done: leader-elected came, and no 3s were left"},
		{"a leader that stays", "{at: 1s, for: 1s, fault: pause, target: new-leader, optional: true, within: 1s}",
			nil, 0, "new-leader", "", "not done: dc1-s1 has led all the time"},
		{"nobody before", "{at: 1s, for: 1s, fault: pause, target: former-leader, optional: true}",
			nil, 0, "former-leader", "", "not done: nobody is seen to have led before"},
		{"nobody at all", "{at: 500ms, for: 5s, fault: kill, target: majority}\n{at: 1s, for: 1s, fault: transfer, optional: true, within: 1s}",
			nil, 0, "", "", "not done: nobody is seen to lead"},
		{"no majority", "{at: 500ms, for: 5s, fault: kill, target: [dc1-s3]}\n{at: 1s, for: 1s, fault: leave, target: [dc1-s2], optional: true}",
			nil, 0, "[dc1-s2]", "", "not done: of 3 voters dc1-s1, dc1-s2 run, and without dc1-s2 1 would, which is no majority"},
		{"one that is not to be played", "{at: 1s, for: 1s, fault: pause, target: one, skip: true}", nil, 0, "one", "", "the schedule says so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.steps = strings.ReplaceAll(c.steps, "for: 1s, fault: transfer", "fault: transfer")
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, "dc1-3"))
				if c.lie != nil {
					c.lie(f)
				}
				p, skipped := waited(t, f, c.steps)
				last := p.resolved.Steps[len(p.resolved.Steps)-1]
				require.Equal(t, c.fired, last.Fired.String())
				require.True(t, p.baseline.Verified)
				if c.why != "" {
					require.Equal(t, []history.Skip{{Step: len(p.resolved.Steps) - 1, Name: last.Label(), Why: c.why}}, skipped)
					require.True(t, last.Skip)
					require.Len(t, p.faults, len(p.resolved.Steps)-1)
					return
				}
				require.Empty(t, skipped)
				require.Equal(t, c.target, last.Target.String())
				require.InDelta(t, c.at, last.At, float64(100*time.Millisecond))
				require.False(t, last.waits())
				fault := p.faults[slices.IndexFunc(p.faults, func(f history.Fault) bool { return f.Step == len(p.resolved.Steps)-1 })]
				require.True(t, fault.Verified && fault.HealVerified, "%+v", fault)
				require.InDelta(t, time.Second, fault.Heal-fault.Start, float64(50*time.Millisecond), "it lasts as long as ever")
				require.Equal(t, c.fired != "", strings.Contains(fault.Measured, "after "+c.fired), fault.Measured)
			})
		})
	}
}

func TestAStepWaitsForOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		sink, began := history.NewMemory(), time.Now()
		resolved, err := Play(t.Context(), parse(t, "steps:\n  - {at: 1s, when: open-operations >= 8, for: 1s, fault: pause, target: one}\n"),
			World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Log: sink, Open: func(string) int { return int(time.Since(began) / time.Second * 2) }})
		require.NoError(t, err)
		require.InDelta(t, 4*time.Second, resolved.Steps[0].At, float64(50*time.Millisecond))
		require.Equal(t, Trigger{OpenOperations, 8}, resolved.Steps[0].Fired)
	})
}

// What waited is written back with its time, so that it is played at that time, with nobody to wait for.
func TestWhatWaitedReplaysByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := killsLeader + "{at: 1s, when: leader-elected, after: 120ms, for: 1s, fault: pause, target: new-leader}\n{at: 2s, for: 1s, fault: pause, target: [dc1-s3], skip: true}"
		once, _ := waited(t, newFake(layout(t, "dc1-3")), steps)
		twice := play(t, t.Context(), newFake(layout(t, "dc1-3")), parse(t, once.resolved.String()))
		require.True(t, once.resolved.Equal(twice.resolved), "%s\n%s", once.resolved, twice.resolved)
		require.Len(t, twice.faults, 2)
		require.Equal(t, once.faults[1].Targets, twice.faults[1].Targets)
	})
}

// A step that must begin, and finds nobody, is a gap; one that may be skipped is not, unless there is nothing else.
func TestOnlyWhatIsOptionalIsSkipped(t *testing.T) {
	for steps, want := range map[string]checker.Verdict{
		"  - {at: 1s, for: 1s, fault: pause, target: former-leader}\n":                                                                                           checker.Unknown,
		"  - {at: 1s, for: 1s, fault: pause, target: former-leader, optional: true}\n":                                                                           checker.Unknown,
		"  - {at: 1s, for: 1s, fault: pause, target: former-leader}\n  - {at: 1s, for: 1s, fault: pause, target: one}\n":                                         checker.Unknown,
		"  - {at: 1s, for: 1s, fault: pause, target: former-leader, optional: true}\n  - {at: 1s, for: 1s, fault: pause, target: one}\n":                         checker.Valid,
		"  - {at: 1s, for: 1s, fault: pause, target: one, when: leader-elected}\n  - {at: 1s, for: 1s, fault: pause, target: one}\n":                             checker.Valid,
		"  - {at: 1s, for: 1s, fault: pause, target: one, when: leader-elected}\n  - {at: 1s, for: 1s, fault: pause, target: one, optional: true, skip: true}\n": checker.Unknown,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := judged(t, newFake(layout(t, "dc1-3")), parse(t, "steps:\n"+steps))
			require.Equal(t, want, r.Verdict, "%s%s", steps, r.Summary)
		})
	}
}

// A deposed leader wakes as long after another leads as the step says, whatever its own time is.
func TestADeposedLeaderWakesInTime(t *testing.T) {
	for _, wake := range []time.Duration{10 * time.Millisecond, 700 * time.Millisecond, 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(layout(t, "dc1-3"))
			var elected, woke time.Time
			f.obey = func(want faults.Conditions) faults.Conditions {
				if want.Processes["dc1-s1"] == faults.Running && f.leads["dc1"] != "dc1-s1" && woke.IsZero() {
					woke = time.Now()
				}
				if want.Processes["dc1-s1"] == faults.Paused {
					elected = time.Now().Add(time.Second) // as the fake elects
				}
				return want
			}
			p, _ := waited(t, f, "{at: 1s, fault: deposed-leader-reads, wake: "+wake.String()+"}")
			require.True(t, p.faults[0].Verified && p.faults[0].HealVerified, "%+v", p.faults[0])
			require.Contains(t, p.faults[0].HealMeasured, "another had led for")
			require.InDelta(t, wake, woke.Sub(elected), float64(150*time.Millisecond))
		})
	}
}

func TestTriggersAndWaitsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"when: leader-lost, after: -1s":           "after -1s, within 0s: want at most 168h0m0s of each",
		"after: 1s":                               "after decides nothing without when; leave it out",
		"within: 1s":                              "within decides nothing: the step waits for nothing; leave it out",
		"within: 1s, optional: true":              "within decides nothing: the step waits for nothing; leave it out",
		"when: open-operations >= 3, after: 10ms": "after is not for open-operations, which are counted when the step begins",
	} {
		s := parse(t, "steps:\n  - {at: 1s, for: 1s, fault: pause, target: one, "+text+"}\n")
		require.ErrorContains(t, s.Check(layout(t, "dc1-3"), everything), want)
	}
	for _, text := range []string{"when: never", "when: open-operations", "when: open-operations >= 0", "when: open-operations >= x", "when: leader-elected >= 3",
		"when: open-operations > 3", "when: [leader-lost]", "fired: x", "optional: 3", "skip: x", "within: 3", "after: soon"} {
		_, err := Parse("s.yaml", []byte("steps:\n  - {at: 1s, for: 1s, fault: pause, target: one, "+text+"}\n"))
		require.ErrorContains(t, err, "want ", text)
	}
	const line = "steps:\n  - {at: 1s, when: open-operations >= 8, within: 2s, for: 1s, fault: kill, target: follower, draw: 3, optional: true, skip: true, fired: leader-lost}\n"
	require.Equal(t, line, parse(t, line).String())
	require.Equal(t, 4*time.Second, parse(t, line).End())

	can := func(abilities ...history.Ability) func(history.Ability) bool {
		return func(a history.Ability) bool { return slices.Contains(abilities, a) }
	}
	for text, needs := range map[string]history.Ability{"target: one, when: leader-lost": history.ObservesLeaders, "target: follower": history.ObservesLeaders,
		"target: lagging": history.ObservesLogs, "target: one, when: config-change": history.ChangesMembers} {
		s := parse(t, "steps:\n  - {at: 1s, for: 1s, fault: pause, "+text+"}\n")
		all := []history.Ability{history.ObservesLeaders, history.ObservesLogs, history.ChangesMembers}
		require.NoError(t, s.CheckAbilities("it", can(all...)))
		require.Error(t, s.CheckAbilities("it", can(slices.DeleteFunc(all, func(a history.Ability) bool { return a == needs })...)), text)
	}
}
