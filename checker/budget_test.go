package checker

import (
	"context"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// A budget may turn a verdict into unknown, and never into the opposite one.
func TestNoBudgetContradictsAnother(t *testing.T) {
	broken := slices.Concat(overlapping(100), renumbered(1000, draw(t, `
		p900 write 1     |--|
		p901 read nil         |--|`)))
	starved := 0
	for name, c := range map[string]struct {
		ops  []history.Operation
		full Verdict
	}{
		"valid":   {simulated(20, 150, 12, 5, false), Valid},
		"invalid": {simulated(20, 150, 3, 5, true), Invalid},
		"hard":    {overlapping(8), Invalid},
		"mixed":   {broken, Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			decided := 0
			for _, wall := range []time.Duration{1, time.Microsecond, time.Millisecond, 20 * time.Millisecond, time.Second} {
				for _, memoryMB := range []int{1, 64} {
					for _, cores := range []int{1, 2} {
						r := judgedWithin(wall, memoryMB, cores, c.ops)
						require.Contains(t, []Verdict{c.full, Unknown}, r.Verdict, "%s, %d MiB, %d cores: %s", wall, memoryMB, cores, r.Summary)
						if r.Verdict == c.full {
							decided++
							continue
						}
						require.True(t, r.Budget.Exhausted, r.Summary)
						starved++
					}
				}
			}
			require.Positive(t, decided, "no budget was large enough")
		})
	}
	require.Positive(t, starved, "no budget was too small for anything")
}

func judgedWithin(wall time.Duration, memoryMB, cores int, ops []history.Operation) Result {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	run := registerRun("default", ops)
	run.Settings.CheckMemoryMB = memoryMB
	ctx, cancel := context.WithTimeout(context.Background(), wall)
	defer cancel()
	return checkLinearizable(ctx, run)
}

func renumbered(from int64, ops []history.Operation) []history.Operation {
	for i := range ops {
		ops[i].ID = from + int64(i)
	}
	return ops
}

func TestAResultRecordsItsBudgetAndWhatWasUsed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1)) // or none may run, and the peak is unknown
	r := judgedWithin(1500*time.Millisecond, 256, 2, overlapping(100))
	for range 10 { // on a busy machine nothing may be collected in so short a time
		if r.Budget.PeakMemoryMB > 0 {
			break
		}
		r = judgedWithin(1500*time.Millisecond, 256, 2, overlapping(100))
	}
	require.Equal(t, Unknown, r.Verdict)
	b := r.Budget
	require.InDelta(t, 1.5, b.WallSeconds, 0.1)
	require.Equal(t, 256, b.MemoryMB)
	require.Equal(t, 2, b.Cores)
	require.InDelta(t, 1.125, b.UsedWallSeconds, 1, "three quarters of the time are for the search")
	require.Positive(t, b.PeakMemoryMB)
	require.True(t, b.Exhausted)

	text, err := json.Marshal(r)
	require.NoError(t, err)
	for _, key := range []string{"wall_seconds", "memory_mb", "cores", "used_wall_seconds", "peak_memory_mb", "exhausted"} {
		require.Contains(t, string(text), `"`+key+`":`)
	}
	var again Result
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, b, again.Budget)

	run := registerRun("default", simulated(1, 20, 2, 0, false))
	r = checkLinearizable(context.Background(), run)
	require.Equal(t, Valid, r.Verdict)
	require.Zero(t, r.Budget.WallSeconds, "no limit")
	require.Equal(t, defaultMemoryMB, r.Budget.MemoryMB)
	require.Equal(t, runtime.GOMAXPROCS(0), r.Budget.Cores)
	require.False(t, r.Budget.Exhausted)
}

// Every tier looks at the clock. One that does not would be at these histories for hours, or, of the
// pairs, look at nearly all half a billion.
func TestEveryTierEndsSoonAfterItsTime(t *testing.T) {
	hard := constraintsOf(t, overlapping(100))
	tangled := constraintsOf(t, entangled(30_000))
	pairs := 0
	for name, judge := range map[string]func(ctx context.Context){
		"just in time": func(ctx context.Context) { linearize(ctx, hard, nil, widest) },
		"Porcupine":    func(ctx context.Context) { search(ctx, hard, nil) },
		"altogether":   func(ctx context.Context) { decide(ctx, hard, nil) },
		"shrinking":    func(ctx context.Context) { shrink(ctx, tangled, nil) },
		"pairs": func(ctx context.Context) {
			conflicts(ctx, blocks(tangled), func([]*constraint, ...*block) bool { pairs++; return true })
		},
		"chains": func(ctx context.Context) {
			eachOverlap(ctx, chainsOf(tangled), func(_, _ *chain) bool { pairs++; return true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			pairs = 0
			over, cancel := context.WithCancel(context.Background())
			cancel()
			judge(over)
			require.LessOrEqual(t, pairs, 4096)

			soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			judge(soon)
		})
	}
}

// entangled is n values, all of which stood in the register at the same time.
func entangled(n int) (ops []history.Operation) {
	for i := range int64(n) {
		ops = append(ops, history.Operation{ID: 3 * i, Process: history.Process(3 * i), F: "write", Key: "k", Type: history.OK,
			Input: history.Int(i), Invoke: i, Return: 10_000_000 + i})
		for j, at := range []int64{20_000_000 + i, 40_000_000 + i} {
			ops = append(ops, history.Operation{ID: 3*i + int64(j) + 1, Process: history.Process(3*i + int64(j) + 1), F: "read", Key: "k",
				Type: history.OK, Output: history.Int(i), Invoke: at, Return: at + 10_000_000})
		}
	}
	return ops
}
