package faultline

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// inBubble plays a schedule on a cluster in memory, in virtual time, and has the history judged. The bubble ends
// only once every goroutine of the session has.
func inBubble(t *testing.T, steps string, during func(m *memory, cancel context.CancelFunc)) (run *checker.Run, played error) {
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
		generator, err := Scenario{Workload: "register", Seed: 7}.Defaults().generator()
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if during != nil {
			time.AfterFunc(8*time.Second, func() { during(m, cancel) })
		}
		sink := history.NewMemory()
		played = Play(ctx, Plan{Topology: layout, System: memorySystem{m}, Schedule: schedule, Generator: generator, Rate: 100, Concurrency: 5,
			Timeout: time.Second, TimeLimit: 15 * time.Second, Quiet: 2 * time.Second, RecoverWithin: 10 * time.Second}, cluster, sink)
		require.NoError(t, cluster.Close(context.Background()))
		run = &checker.Run{Topology: layout, Events: sink.Events(), Settings: checker.Settings{Workload: "register", Format: checker.FormatEvidence, PlannedFaults: len(schedule.Steps)}}
		run.Ops, err = history.Operations(run.Events)
		require.NoError(t, err)
		run.Faults, run.Baseline, err = history.Faults(run.Events)
		require.NoError(t, err)
	})
	return run, played
}

const twoFaults = "steps:\n  - {at: 1s, for: 3s, fault: kill, target: primary}\n  - {at: 5s, for: 3s, fault: partition, target: one, draw: 1}\n"

func TestASessionNeedsNothingButTime(t *testing.T) {
	began := time.Now()
	run, err := inBubble(t, twoFaults, nil)
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

func TestAnInterruptedSessionHeals(t *testing.T) {
	run, err := inBubble(t, twoFaults, func(_ *memory, cancel context.CancelFunc) { cancel() })
	require.NoError(t, err)
	require.True(t, run.Baseline.Verified)
	require.JSONEq(t, `"end"`, string(run.Events[len(run.Events)-1].Value))
	require.Less(t, run.Events[len(run.Events)-1].Time, int64(15*time.Second))
}

func TestASessionEndsWithItsCluster(t *testing.T) {
	run, err := inBubble(t, twoFaults, func(m *memory, _ context.CancelFunc) { m.lives.Lose(errors.New("the engine is gone")) })
	require.ErrorAs(t, err, new(*LostError))
	require.ErrorContains(t, err, "the engine is gone")
	last := run.Events[len(run.Events)-1]
	require.Equal(t, history.FLost, last.F)
	require.Less(t, last.Time, int64(9*time.Second))
}

// What a session is made of knows no file, no process and no signal.
func TestASessionKnowsNoOperatingSystem(t *testing.T) {
	for _, file := range []string{"session.go", "watch.go", "observe.go", "broken.go"} {
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
