package faultline

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads"
	"faultline/workloads/history"
)

// inBubble plays a schedule on a cluster in memory, in virtual time, and has the history judged. The bubble ends
// only once every goroutine of the session has.
func inBubble(t *testing.T, rate float64, steps string, during func(m *memory, cancel, abort context.CancelFunc)) (run *checker.Run, took time.Duration, played error) {
	synctest.Test(t, func(t *testing.T) {
		trap := newTrap("", "", 0)
		trap.release = make(chan struct{})
		defer close(trap.release)
		m := newMemory(trap)
		layout, err := topologies.Load("dc1-3")
		require.NoError(t, err)
		cluster, err := m.Start(t.Context(), nodes.Spec{Run: "bubble", Topology: layout, System: memorySystem{m}})
		require.NoError(t, err)
		schedule, err := nemesis.Parse("steps", []byte(steps))
		require.NoError(t, err)
		generator, err := workloads.NewRegister(workloads.Options{Seed: 7})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		abort, giveUp := context.WithCancel(context.Background())
		defer giveUp()
		if during != nil {
			time.AfterFunc(8*time.Second, func() { during(m, cancel, giveUp) })
		}
		began := time.Now()
		sink := history.NewMemory()
		played = Play(ctx, Plan{Topology: layout, System: memorySystem{m}, Schedule: schedule, Generator: generator, Rate: rate, Concurrency: 5,
			Timeout: time.Second, TimeLimit: 15 * time.Second, Quiet: 2 * time.Second, RecoverWithin: 10 * time.Second, Abort: abort}, cluster, sink)
		took = time.Since(began)
		require.NoError(t, cluster.Close(context.Background()))
		run = &checker.Run{Topology: layout, Events: sink.Events(), Settings: checker.Settings{Workload: "register", Format: checker.FormatLatest, PlannedFaults: len(schedule.Steps)}}
		run.Ops, err = history.Operations(run.Events)
		require.NoError(t, err)
		run.Faults, run.Baseline, err = history.Faults(run.Events)
		require.NoError(t, err)
	})
	return run, took, played
}

const twoFaults = "steps:\n  - {at: 1s, for: 3s, fault: kill, target: primary}\n  - {at: 5s, for: 3s, fault: partition, target: one, draw: 1}\n"

func TestASessionNeedsNothingButTime(t *testing.T) {
	began := time.Now()
	run, _, err := inBubble(t, 100, twoFaults, nil)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 20*time.Second, "it waits in virtual time alone")
	require.Greater(t, len(run.Ops), 1000)
	require.Len(t, run.Faults, 2)
	for _, f := range run.Faults {
		require.True(t, f.Verified && f.HealVerified, "%+v", f)
	}
	last := run.Events[len(run.Events)-1]
	require.Equal(t, history.FPhase, last.F)
	require.JSONEq(t, `"end"`, string(last.Value))
}

// A node that says that it is well and serves nothing is waited for, and held to account.
func TestASessionWaitsUntilEveryNodeServes(t *testing.T) {
	muted := func(forLong time.Duration) func(*memory, context.CancelFunc, context.CancelFunc) {
		return func(m *memory, _, _ context.CancelFunc) {
			m.mute.Store("dc1-s2")
			time.AfterFunc(forLong, func() { m.mute.Store("") })
		}
	}
	_, usual, err := inBubble(t, 100, twoFaults, nil)
	require.NoError(t, err)
	run, took, err := inBubble(t, 100, twoFaults, muted(14*time.Second)) // until 22 s
	require.NoError(t, err)
	require.Greater(t, took, usual+3*time.Second)
	run.Settings.RecoverWithin = 10 * time.Second
	availability := func(run *checker.Run) checker.Result {
		i := slices.IndexFunc(checker.All(), func(c checker.Checker) bool { return c.Name == "availability" })
		return checker.All()[i].Check(t.Context(), run)
	}
	require.Equal(t, checker.Valid, availability(run).Verdict, availability(run).Summary)

	run, _, err = inBubble(t, 100, twoFaults, muted(time.Hour))
	require.NoError(t, err)
	run.Settings.RecoverWithin = 10 * time.Second
	require.Equal(t, checker.Invalid, availability(run).Verdict, availability(run).Summary)
	require.Contains(t, availability(run).Summary, "dc1-s2 served no change")
}

func TestAnInterruptedSessionHeals(t *testing.T) {
	run, _, err := inBubble(t, 100, twoFaults, func(_ *memory, cancel, _ context.CancelFunc) { cancel() })
	require.NoError(t, err)
	require.True(t, run.Baseline.Verified)
	require.JSONEq(t, `"end"`, string(run.Events[len(run.Events)-1].Value))
	require.Less(t, run.Events[len(run.Events)-1].Time, int64(15*time.Second))
}

// It ends with its cluster, and when it is aborted, though it is in the middle of a fault, the cluster answers
// nothing any more, and clients still run.
func TestASessionEndsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		during func(m *memory, cancel, abort context.CancelFunc)
		says   string
		last   history.Op
		rate   float64
	}{
		"lost":    {func(m *memory, _, _ context.CancelFunc) { m.lives.Lose(errors.New("the engine is gone")) }, "the engine is gone", history.FLost, 100},
		"aborted": {func(_ *memory, _, abort context.CancelFunc) { abort() }, ErrInterrupted.Error(), "", 100},
		// Here no client learns from the history that it is over.
		"aborted while clients rest": {func(_ *memory, _, abort context.CancelFunc) { abort() }, ErrInterrupted.Error(), "", 0.01},
	} {
		t.Run(name, func(t *testing.T) {
			run, took, err := inBubble(t, c.rate, twoFaults, func(m *memory, cancel, abort context.CancelFunc) {
				m.deaf.Store(true)
				c.during(m, cancel, abort)
			})
			require.ErrorContains(t, err, c.says)
			require.Equal(t, name == "lost", errors.As(err, new(*LostError)))
			last := run.Events[len(run.Events)-1]
			if c.last != "" {
				require.Equal(t, c.last, last.F)
			}
			require.LessOrEqual(t, last.Time, int64(8*time.Second))
			require.Less(t, took, 8*time.Second+endWithin, "it was not left alone, but ended")
		})
	}
}

// What a session is made of knows no file, no process and no signal.
func TestASessionKnowsNoOperatingSystem(t *testing.T) {
	for _, file := range []string{"session.go", "watch.go", "observe.go", "peers.go", "broken.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		require.NoError(t, err)
		require.NotEmpty(t, parsed.Imports)
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			require.NotContains(t, []string{"os", "os/exec", "os/signal", "path/filepath", "syscall", "golang.org/x/sys/unix", "net"}, path, file)
		}
	}
}

// The peer set is asked for after the quiet phase, until it is right or the time for that is over.
func TestASessionAsksForThePeerSet(t *testing.T) {
	members := func(run *checker.Run) (checker.Result, int) {
		run.Settings.RecoverWithin = 10 * time.Second
		i := slices.IndexFunc(checker.All(), func(c checker.Checker) bool { return c.Name == "members" })
		_, results := checker.Judge(t.Context(), run, checker.All()[i:i+1])
		asked := 0
		for _, e := range run.Events {
			if e.F == history.FPeers {
				asked++
			}
		}
		return results[0], asked
	}
	run, _, err := inBubble(t, 100, twoFaults, nil)
	require.NoError(t, err)
	result, asked := members(run)
	require.Equal(t, checker.Valid, result.Verdict, result.Summary)
	require.Equal(t, 1, asked)

	run, _, err = inBubble(t, 100, twoFaults, func(m *memory, _, _ context.CancelFunc) {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.peers, "dc1-s2")
	})
	require.NoError(t, err)
	result, asked = members(run)
	require.Equal(t, checker.Invalid, result.Verdict, result.Summary)
	require.Contains(t, result.Summary, "dc1-s2 is no peer (as dc1-s3 tells it)")
	require.Greater(t, asked, 20)
}

// The abort may come in the moment in which the faults are over.
func TestAnAbortEndsTheRestAfterFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		aborted, abort := context.WithCancel(t.Context())
		abort()
		began := time.Now()
		(&session{Plan: Plan{Abort: aborted}}).recover(t.Context(), time.Minute)
		require.Zero(t, time.Since(began))
	})
}
