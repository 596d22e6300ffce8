package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

const everyFault = `steps:
  - {at: 1s, for: 4s, fault: partition, target: primary, oneway: in, draw: 2}
  - {at: 3s, for: 4s, fault: kill, target: one, draw: 1}
  - {at: 3s, for: 5s, fault: pause, target: [dc1-c1]}
  - {at: 10s, fault: transfer}
  - {at: 12s, for: 3s, fault: leave, target: one, draw: 2}
  - {at: 20s, fault: deposed-leader-reads, reads: 7}
  - {at: 30s, for: 2s, fault: partition, target: bridge, reject: true}
`

func TestPlayTellsItsStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3c2"))
		p := play(t, t.Context(), f, parse(t, everyFault))
		require.NoError(t, p.err)
		for _, fault := range p.faults {
			require.True(t, fault.Verified && fault.HealVerified, "%+v", fault)
		}
		require.True(t, p.baseline.Verified)
		golden(t, "play.txt", p.story(f)+"\n"+strings.Join(p.notified, "\n")+"\n")
	})
}

func TestResolvedScheduleReplaysByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newFake(layout(t, "dc1-3c2"))
		once := play(t, t.Context(), first, parse(t, everyFault))
		for _, s := range once.resolved.Steps {
			require.NotEqual(t, Primary, s.Target.Word)
		}
		second := newFake(layout(t, "dc1-3c2"))
		second.leads["dc1"] = "dc1-s3" // another than the first time
		twice := play(t, t.Context(), second, parse(t, once.resolved.String()))
		require.True(t, once.resolved.Equal(twice.resolved))
		for i, fault := range twice.faults {
			require.True(t, fault.Verified, "%+v", fault)
			require.Equal(t, once.faults[i].Targets, fault.Targets)
		}
	})
}

// TestOverlapIsTheSumOfWhatIsActive plays random schedules of states. After each change
// the cluster must have been in the conditions of the steps that last then, computed here
// from the schedule's times alone, and at the end in health.
func TestOverlapIsTheSumOfWhatIsActive(t *testing.T) {
	topology := layout(t, "dc1-5c2")
	for seed := range uint64(40) {
		s := randomStates(rand.New(rand.NewPCG(seed, 0)))
		require.NoError(t, s.Check(topology, everything))
		synctest.Test(t, func(t *testing.T) {
			f := newFake(topology)
			f.sloth = 0
			sets := &recorder{fake: f}
			log, err := history.Create(filepath.Join(t.TempDir(), "h"))
			require.NoError(t, err)
			defer log.Close()
			_, err = Play(t.Context(), s, World{Topology: topology, Cluster: sets, Conn: f.Conn, Leader: f.Leader, Log: log})
			require.NoError(t, err)

			moments := timeline(s)
			require.Len(t, sets.asked, len(moments)+1)
			for i, moment := range moments {
				var want faults.Conditions
				for _, step := range s.Steps {
					if step.At <= moment.at && moment.at < step.At+step.For {
						step.Fault.(State).Apply(&want, topology, step)
					}
				}
				require.True(t, want.Equal(sets.asked[i]), "seed %d, %s:\nwant %s\ngot  %s\n%s", seed, moment.at, want, sets.asked[i], s)
			}
			require.True(t, sets.asked[len(moments)-1].Healthy())
			require.True(t, sets.asked[len(moments)].Healthy(), "the baseline")
		})
	}
}

type recorder struct {
	*fake
	asked []faults.Conditions
}

func (r *recorder) Set(ctx context.Context, want faults.Conditions) error {
	r.asked = append(r.asked, want.Clone())
	return r.fake.Set(ctx, want)
}

// randomStates overlaps, touches and nests on a coarse grid of times.
func randomStates(rng *rand.Rand) Schedule {
	var s Schedule
	for range 1 + rng.IntN(12) {
		f := []Fault{Clock{}, Disk{}, Kill{}, Link{}, Partition{}, Pause{}, PowerLoss{}}[rng.IntN(7)]
		if samples := samplesOf(f); len(samples) > 0 {
			f = samples[rng.IntN(len(samples))]
		}
		if _, ok := f.(Partition); ok {
			f = Partition{OneWay: []OneWay{"", In, Out}[rng.IntN(3)], Reject: rng.IntN(2) == 0}
		}
		step := Step{At: time.Duration(rng.IntN(10)) * time.Second, For: time.Duration(1+rng.IntN(8)) * time.Second,
			Fault: f, Target: Names("dc1-s2", "dc1-c1")}
		if word := f.Kind().Targets[rng.IntN(len(f.Kind().Targets))]; !isRole(word) && !(Target{Word: word}).crosses() {
			step.Target = Target{Word: word}
			if word != All {
				step.Draw = rng.Uint64N(1000)
			}
		}
		s.Steps = append(s.Steps, step)
	}
	return s
}

func TestWhatDoesNotShowIsNotProved(t *testing.T) {
	for _, c := range []struct {
		name, step string
		lie        func(f *fake)
		want       string // in the error of the start
		heal       string // in the error of the heal
	}{
		{"a link that stays open", "{at: 1s, for: 5s, fault: partition, target: one}",
			func(f *fake) { f.deaf[faults.Pair{From: "dc1-s1", To: "dc1-s2"}] = true },
			"dc1-s1>dc1-s2: a datagram arrived", ""},
		{"a process that does not die", "{at: 1s, for: 5s, fault: kill, target: one}",
			func(f *fake) { f.immortal["dc1-s1"] = true }, "dc1-s1 is running, not killed", ""},
		{"a node that broke by itself", "{at: 1s, for: 5s, fault: pause, target: one}",
			func(f *fake) { time.AfterFunc(1100*time.Millisecond, func() { f.die("dc1-s3") }) },
			"dc1-s3 has ended by itself; dc1-s3 is killed, not running", ""},
		{"conditions that cannot be set", "{at: 1s, for: 5s, fault: kill, target: one}",
			func(f *fake) { f.refuse = errors.New("engine on fire") }, "not set: engine on fire", "not set: engine on fire"},
		{"a leader that does not hand over", "{at: 1s, fault: transfer}",
			func(f *fake) { f.stuck = true }, "dc1-s1 leads and did not hand over: timeout: no successor", ""},
		{"a handover of nothing", "{at: 1s, fault: transfer}",
			func(f *fake) { f.lazy = true }, "waited for a leader of a later term than 1: context deadline exceeded (last: dc1-s1 leads)", ""},
		{"a server that does not leave", "{at: 1s, for: 5s, fault: leave, target: one}",
			func(f *fake) { f.stay = nodes.Errorf(history.NotReady, "starting") }, "dc1-s1 did not leave: not-ready: starting", ""},
		{"a leave that does nothing", "{at: 1s, for: 40s, fault: leave, target: one}",
			func(f *fake) { f.stay = nodes.Errorf(history.Timeout, "silence") },
			"dc1-s1 did not leave: timeout: silence; and did not end: context deadline exceeded", ""},
		{"a server that leaves and stays a peer", "{at: 1s, for: 20s, fault: leave, target: one}",
			func(f *fake) { f.clinging = true }, "dc1-s1 is still a peer", ""},
		{"a leader without a successor", "{at: 1s, for: 20s, fault: deposed-leader-reads}",
			func(f *fake) { f.stuck = true }, "waited for another than dc1-s1 to lead", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, "dc1-3"))
				c.lie(f)
				p := play(t, t.Context(), f, parse(t, "steps:\n  - "+c.step+"\n"))
				require.NoError(t, p.err)
				require.Len(t, p.faults, 1)
				require.False(t, p.faults[0].Verified)
				require.Contains(t, p.faults[0].Error, c.want)
				require.NotEqual(t, int64(history.Pending), p.faults[0].Healed)
				if !p.faults[0].Momentary {
					require.Equal(t, c.heal == "", p.faults[0].HealVerified)
				}
				require.Equal(t, c.heal == "", p.baseline.Verified)
			})
		})
	}
}

// Whoever is handed the leadership has to be elected, and the old leader may be again.
func TestALeaderThatComesBackIsAskedAgain(t *testing.T) {
	for step, want := range map[string]string{
		"{at: 1s, fault: transfer}":                   "dc1-s2 leads in term 4, dc1-s1 did in 3",
		"{at: 1s, fault: transfer, target: [dc1-s3]}": "dc1-s1 leads in term 5, dc1-s3 did in 4",
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(layout(t, "dc1-3"))
			f.returns = 2
			p := play(t, t.Context(), f, parse(t, "steps:\n  - "+step+"\n"))
			require.NoError(t, p.err)
			require.True(t, p.faults[0].Verified, p.faults[0].Error)
			require.Equal(t, want, p.faults[0].Measured)
		})
	}
}

// die ends a process; the next Set starts it again.
func (f *fake) die(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left[node] = true
}

func TestWithoutALeaderTheRunGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		p := play(t, t.Context(), f, parse(t, `steps:
  - {at: 1s, for: 10s, fault: pause, target: majority}
  - {at: 3s, for: 2s, fault: partition, target: primary}
  - {at: 4s, fault: transfer}
  - {at: 15s, for: 1s, fault: kill, target: primary}
`))
		require.NoError(t, p.err)
		require.Len(t, p.faults, 4)
		for i, proved := range []bool{true, false, false, true} {
			require.Equal(t, proved, p.faults[i].Verified, "%+v", p.faults[i])
		}
		require.Equal(t, "no leader to hit: nobody leads", p.faults[1].Error)
		require.Equal(t, "partition primary", p.faults[1].Asked)
		require.Equal(t, Primary, p.resolved.Steps[1].Target.Word)
		require.Equal(t, []string{"dc1-s1"}, p.resolved.Steps[3].Target.Names)
		require.True(t, p.baseline.Verified)
	})
}

func TestInterruptedRunHealsAtOnce(t *testing.T) {
	for _, at := range []time.Duration{time.Millisecond, 1010 * time.Millisecond, 1100 * time.Millisecond, 3 * time.Second,
		5010 * time.Millisecond, 5100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(layout(t, "dc1-3"))
			ctx, cancel := context.WithTimeout(t.Context(), at)
			defer cancel()
			p := play(t, ctx, f, parse(t, `steps:
  - {at: 1s, for: 4s, fault: deposed-leader-reads}
  - {at: 1s, for: 30s, fault: partition, target: one}
  - {at: 40s, fault: transfer}
`))
			require.NoError(t, p.err)
			for _, fault := range p.faults {
				require.NotEqual(t, int64(history.Pending), fault.Healed, "%+v", fault)
				require.True(t, fault.HealVerified, "%+v", fault)
			}
			require.True(t, p.baseline.Verified)
			require.True(t, f.now.Healthy())
			require.Less(t, time.Since(f.started), at+2*time.Second)
		})
	}
}

func TestLateChangeSaysSoAndKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		f.sloth = 2 * time.Second
		p := play(t, t.Context(), f, parse(t, `steps:
  - {at: 1s, for: 3s, fault: pause, target: one}
  - {at: 2s, for: 1s, fault: kill, target: one, draw: 1}
  - {at: 9s, for: 3s, fault: kill, target: one, draw: 2}
`))
		require.NoError(t, p.err)
		require.Equal(t, "dc1-s1 paused", p.faults[0].Measured)
		require.Equal(t, "dc1-s2 not running; 1s late", p.faults[1].Measured)
		require.Equal(t, "dc1-s2 running; 2s late", p.faults[1].HealMeasured)
		require.Equal(t, "dc1-s1 running; 3.1s late", p.faults[0].HealMeasured)
		require.Equal(t, "dc1-s3 not running", p.faults[2].Measured)
	})
}

func TestBaselineIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		f.refuse = errors.New("busy")
		time.AfterFunc(5*time.Second, func() { f.mu.Lock(); defer f.mu.Unlock(); f.refuse = nil })
		p := play(t, t.Context(), f, parse(t, "steps:\n  - {at: 1s, for: 1s, fault: kill, target: one}\n"))
		require.NoError(t, p.err)
		require.True(t, p.baseline.Verified)
		require.False(t, p.faults[0].HealVerified)
	})
}

func TestPlayRefusesWhatCheckRefuses(t *testing.T) {
	_, err := Play(t.Context(), Schedule{Steps: []Step{{Fault: Kill{}}}}, World{Topology: layout(t, "dc1-3")})
	require.ErrorContains(t, err, "step 0: for is missing")
}

func TestHistoryThatCannotBeWrittenEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		log, err := history.Create(filepath.Join(t.TempDir(), "h"))
		require.NoError(t, err)
		require.NoError(t, log.Close())
		for err == nil { // the buffer takes a while to notice that the file is closed
			_, err = log.Add(history.Event{Type: history.Info, Process: history.Harness, F: history.Op(strings.Repeat("x", 10_000))})
		}
		_, err = Play(t.Context(), parse(t, "steps:\n  - {at: 1s, for: 9s, fault: kill, target: one}\n  - {at: 5s, fault: transfer}\n"),
			World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Log: log})
		require.ErrorContains(t, err, "file already closed")
		require.True(t, f.now.Healthy())
		require.NotContains(t, strings.Join(f.events, "\n"), "leadership")
	})
}

// TestALinkFaultIsBelievedOnlyWhenMeasured: one of the links stays healthy.
func TestALinkFaultIsBelievedOnlyWhenMeasured(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(layout(t, "dc1-3"))
			f.deaf[faults.Pair{From: "dc1-s1", To: "dc1-s2"}] = deaf
			p := play(t, t.Context(), f, parse(t, `steps:
  - {at: 1s, for: 5s, fault: link, target: all, loss: 0.2, delay: 40ms}
  - {at: 2s, for: 2s, fault: link, target: one, oneway: out, duplicate: 0.3}
`))
			require.NoError(t, p.err)
			require.Len(t, p.faults, 2)
			require.Equal(t, "6 links loss 0.2, delay 40ms (dc1-s1>dc1-s2, dc1-s1>dc1-s3, dc1-s2>dc1-s1, …)", p.faults[0].Asked)
			require.Equal(t, !deaf, p.faults[0].Verified)
			if deaf {
				require.Contains(t, p.faults[0].Error, "dc1-s1>dc1-s2: ")
			} else {
				require.Equal(t, "6 links with 120 of 600 datagrams lost (20.0 %), medians 40.1 to 40.1 ms", p.faults[0].Measured)
				require.Contains(t, p.faults[1].Measured, "30.0 % doubled")
			}
			require.True(t, p.baseline.Verified)
		})
	}
}
