package checker

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestLeaks(t *testing.T) {
	// Of one node, four times a second from 0 to 30 s; the last heal is at 20 s.
	record := func(told func(ms int) history.Observation) *Run {
		tp := &tape{}
		tp.phase(0, history.PhaseFaults).ok(1, 2, "write")
		for ms := 250; ms < 30_000; ms += 250 {
			switch ms {
			case 10_000:
				tp.begin(ms, 0)
			case 19_000:
				tp.heal(ms, 0)
			case 20_000:
				tp.baseline(ms)
			}
			tp.observe(ms, "s1", told(ms))
		}
		return tp.phase(30_000, history.PhaseFinal).phase(30_000, history.PhaseEnd).run(t, Settings{})
	}
	boot := func(o history.Observation) history.Observation {
		o.BootID = "b"
		return o
	}
	goroutines := func(n func(ms int) int) func(int) history.Observation {
		return func(ms int) history.Observation { return boot(history.Observation{Goroutines: n(ms)}) }
	}
	for _, c := range []struct {
		name    string
		told    func(ms int) history.Observation
		verdict Verdict
		says    string
	}{
		{"steady", goroutines(func(int) int { return 100 }), Valid, "what the processes of 1 node use did not grow without end"},
		{"one more every 10 ms", goroutines(func(ms int) int { return 100 + ms/10 }), Invalid, "s1: 125 goroutines early in its life, at most 2400 goroutines right after the last heal, and at the end never less than 2775 goroutines"},
		{"they double", goroutines(func(ms int) int { return 2000 + ms/10 }), Valid, ""},
		{"few, but many more", goroutines(func(ms int) int { return 2 + ms/100 }), Valid, ""},
		{"many since a fault, and no more", goroutines(func(ms int) int { return min(100+ms/10, 1900) }), Valid, ""},
		{"many since a fault, and then fewer", goroutines(func(ms int) int { return 5000 - ms/10 }), Valid, ""},
		{"grown with ups and downs to the least", goroutines(func(ms int) int {
			if ms%1000 == 0 {
				return 100
			}
			return 100 + ms/10
		}), Valid, ""},
		{"one more descriptor every 50 ms", func(ms int) history.Observation { return boot(history.Observation{Descriptors: 20 + ms/50}) }, Invalid, "open descriptors"},
		{"one more every 150 ms", func(ms int) history.Observation { return boot(history.Observation{Descriptors: 20 + ms/150}) }, Valid, ""},
		{"16 MiB a second", func(ms int) history.Observation { return boot(history.Observation{Memory: 1<<20 + uint64(ms)<<14}) }, Invalid, "MiB of live memory"},
		{"8 MiB a second", func(ms int) history.Observation { return boot(history.Observation{Memory: 1<<20 + uint64(ms)<<13}) }, Valid, ""},
		{"each life by itself", func(ms int) history.Observation {
			return history.Observation{BootID: fmt.Sprint(ms / 5000), Goroutines: 100 + ms%5000}
		}, NotApplicable, "no node was observed for long enough"},
		{"only early", func(ms int) history.Observation {
			if ms > 22_000 {
				return history.Observation{Error: "timeout"}
			}
			return boot(history.Observation{Goroutines: 100 + ms/10})
		}, NotApplicable, "no node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := record(c.told)
			require.Empty(t, tellsUsage(run))
			r := checkLeaks(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
	require.NotEmpty(t, tellsUsage(record(func(int) history.Observation { return history.Observation{BootID: "b"} })))
	many := record(func(ms int) history.Observation { return boot(history.Observation{Memory: 1<<20 + uint64(ms)<<14}) })
	for range 100_000 { // which may all be stored
		many.Ops = append(many.Ops, many.Ops[0])
	}
	require.Equal(t, Valid, checkLeaks(context.Background(), many).Verdict)
	short := record(goroutines(func(ms int) int { return 100 + ms/10 }))
	for i := range short.Events {
		short.Events[i].Time = min(short.Events[i].Time, int64(24*time.Second)) // the final reads come early
	}
	require.Equal(t, NotApplicable, checkLeaks(context.Background(), short).Verdict)

	// Without boots a restart is known by what the runtime reported.
	tp := &tape{}
	tp.started(0, "s1").observe(3000, "s1", history.Observation{Goroutines: 1}).observe(4000, "s1", history.Observation{Goroutines: 2})
	tp.exited(5000, "s1", 1).started(5000, "s1").observe(6000, "s1", history.Observation{Goroutines: 3}).observe(8000, "s1", history.Observation{Goroutines: 4})
	lives, err := usages(tp.run(t, Settings{}))
	require.NoError(t, err)
	require.Len(t, lives, 2)
	require.Len(t, lives["s1 life 2"], 1, "the one near the restart may be of either")
}
