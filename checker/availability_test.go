package checker

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func bound(d time.Duration) Settings { return Settings{RecoverWithin: d} }

func TestAvailability(t *testing.T) {
	for _, c := range []struct {
		name    string
		bound   time.Duration
		record  func(*tape)
		verdict Verdict
		says    string
	}{
		{"all is well", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 5, "write").ok(6, 9, "read").begin(10, 0)
			tp.op(11, 90, "write", history.Info, "timeout").heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 150, "write").ok(151, 160, "read").phase(160, history.PhaseFinal).phase(170, history.PhaseEnd)
		}, Valid, "clients wrote 40 ms after the last heal; clients read 50 ms after the last heal"},
		{"no faults", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 5, "write").ok(6, 9, "read").phase(10, history.PhaseEnd)
		}, Valid, "clients wrote 4.0 ms after the first request"},
		{"writes never come back", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 130, "read").op(140, 900, "write", history.Fail, "no-leader").op(1000, 1200, "write", history.Info, "timeout")
			tp.phase(1300, history.PhaseEnd)
		}, Invalid, "no write succeeded in the 1190 ms after the last heal; allowed are 1000 ms"},
		{"writes come back too late", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 130, "read").op(140, 900, "write", history.Fail, "no-leader").ok(1000, 1200, "cas")
			tp.phase(1300, history.PhaseEnd)
		}, Invalid, "the first write after the last heal took 1090 ms to succeed"},
		{"a check at the end is no heal", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 130, "read").op(140, 900, "write", history.Fail, "no-leader").ok(1000, 1200, "write")
			tp.mark(1250, "baseline-end", `{"step":-1,"stage":"baseline","done":true,"proved":true}`)
			tp.ok(1260, 1265, "write").ok(1266, 1270, "read").phase(1300, history.PhaseEnd)
		}, Invalid, "the first write after the last heal took 1090 ms to succeed"},
		{"reads never come back", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 130, "write").op(140, 900, "read", history.Fail, "no-leader").op(1000, 1200, "read", history.Info, "timeout")
			tp.phase(1300, history.PhaseEnd)
		}, Invalid, "no read succeeded in the 1190 ms after the last heal"},
		{"a write from before the heal is no recovery", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0)
			tp.add(50, history.Event{Process: 90, Type: history.Invoke, F: "write", Key: "k", Value: history.Int(1)})
			tp.heal(100, 0).baseline(110)
			tp.add(120, history.Event{Process: 90, Type: history.OK, F: "write", Key: "k", Value: history.Int(1)})
			tp.ok(120, 130, "read").op(140, 1200, "write", history.Fail, "no-leader").phase(1300, history.PhaseEnd)
		}, Invalid, "no write succeeded in the 1190 ms after the last heal"},
		{"clients stopped trying before the bound", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.op(140, 500, "write", history.Fail, "no-leader").phase(700, history.PhaseFinal)
			tp.ok(1500, 1600, "read").phase(2000, history.PhaseEnd)
		}, Unknown, "no write succeeded within the 1000 ms allowed after the last heal, but for 610 ms of them no client tried"},
		{"the record ends before the bound", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
			tp.ok(120, 130, "read").op(140, 600, "write", history.Fail, "no-leader").phase(700, history.PhaseEnd)
		}, Unknown, "no write succeeded after the last heal, but the record ends 590 ms later and 1000 ms are allowed"},
		{"nobody tried to write", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(10, 0).heal(100, 0).baseline(110)
			tp.ok(120, 130, "read").phase(2000, history.PhaseEnd)
		}, Unknown, "for 1000 ms of them no client tried"},
		{"an outage during a fault is no crime", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(10, 0)
			tp.op(11, 9000, "write", history.Info, "timeout").heal(9000, 0).baseline(9010)
			tp.ok(9020, 9030, "write").ok(9031, 9040, "read").phase(9050, history.PhaseEnd)
		}, Valid, "clients wrote 20 ms"},
		{"a fault that was never healed", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").ok(3, 4, "read").begin(10, 7).phase(20, history.PhaseEnd)
		}, Unknown, "step 7 (partition) was never healed"},
		{"cut off after a recovery", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).ok(120, 130, "write").ok(140, 150, "read")
		}, Unknown, cutOff},
		{"cut off after no recovery", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).ok(120, 130, "read").op(140, 1500, "write", history.Fail, "no-leader")
		}, Unknown, "no write succeeded"},
		{"no bound, success", 0, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).ok(1, 5000, "write").ok(5001, 5002, "read").phase(6000, history.PhaseEnd)
		}, Valid, ""},
		{"no bound, no success", 0, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).op(1, 5000, "write", history.Fail, "no-leader").ok(5001, 5002, "read").phase(6000, history.PhaseEnd)
		}, Unknown, "sets no bound"},
		{"no operations", time.Second, func(tp *tape) {
			tp.phase(0, history.PhaseFaults).phase(10, history.PhaseEnd)
		}, Unknown, "no client asked for anything"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tp := &tape{}
			c.record(tp)
			r := checkAvailability(context.Background(), tp.run(t, bound(c.bound)))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

func TestAvailabilityMetrics(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults)
	tp.ok(0, 10, "write").ok(20, 50, "read") // then nothing for 50 ms before and 150 ms within the fault
	tp.begin(100, 0).op(110, 240, "write", history.Fail, "no-leader").op(241, 250, "cas", history.Fail, "cas-mismatch")
	tp.heal(300, 0).baseline(310).phase(310, history.PhaseQuiet)
	tp.ok(320, 330, "write").ok(331, 335, "read").phase(410, history.PhaseFinal).ok(800, 801, "read").phase(900, history.PhaseEnd)
	got := checkAvailability(context.Background(), tp.run(t, bound(time.Second))).Metrics
	require.Equal(t, []Metric{
		{"faults: success rate", 75, "%"},
		{"faults: served", 3 / 0.31, "ops/s"},
		{"faults: latency p50", 10, "ms"},
		{"faults: latency p99", 30, "ms"},
		{"quiet: success rate", 100, "%"},
		{"quiet: served", 20, "ops/s"},
		{"quiet: latency p50", 4, "ms"},
		{"quiet: latency p99", 10, "ms"},
		{"final: success rate", 100, "%"},
		{"final: served", 1 / 0.49, "ops/s"},
		{"final: latency p50", 1, "ms"},
		{"final: latency p99", 1, "ms"},
		{"longest outage inside faults", 0.15, "s"},
		{"longest outage outside faults", 0.075, "s"},
		{"slowest recovery after a heal", 0.03, "s"},
		{"heals without a write after them", 0, ""},
	}, got)
}

func TestRecoveries(t *testing.T) {
	tp := &tape{}
	tp.begin(10, 0).heal(100, 0).ok(105, 108, "read").ok(110, 150, "write").begin(200, 1).heal(210, 1)
	tp.op(220, 230, "write", history.Info, "timeout").begin(300, 2)
	require.Equal(t, []Recovery{
		{Step: 0, After: 50 * time.Millisecond, Recovered: true},
		{Step: 1},
	}, Recoveries(tp.run(t, Settings{})))
}

func TestFirstOKIsTheFirstAnswerNotTheFirstRequest(t *testing.T) {
	ops := []history.Operation{
		{F: "write", Type: history.OK, Invoke: 5, Return: 100},
		{F: "read", Type: history.OK, Invoke: 6, Return: 7},
		{F: "write", Type: history.OK, Invoke: 8, Return: 9},
		{F: "write", Type: history.OK, Invoke: 10, Return: 11},
	}
	at, ok := firstOK(ops, 5, changes)
	require.True(t, ok)
	require.EqualValues(t, 9, at)
	_, ok = firstOK(ops, 11, changes)
	require.False(t, ok)
}

// The longest stretches, against counting every nanosecond.
func TestSplitAgainstCounting(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 7))
		var faults []history.Fault
		for range r.IntN(4) {
			at := r.Int64N(40)
			faults = append(faults, history.Fault{Start: at, Healed: at + 1 + r.Int64N(15)})
		}
		from := r.Int64N(30)
		to := from + r.Int64N(30)
		in, out := split(from, to, faultBands(faults))
		var runs [2]int64
		var now [2]int64
		for at := from; at < to; at++ {
			k := 0
			if slices.ContainsFunc(faults, func(f history.Fault) bool { return f.Start <= at && at < f.Healed }) {
				k = 1
			}
			now[k]++
			now[1-k] = 0
			runs[k] = max(runs[k], now[k])
		}
		require.Equal(t, runs, [2]int64{out, in}, "seed %d: %d-%d %v", seed, from, to, faults)
	}
}

func TestQuantile(t *testing.T) {
	var spans []int64
	for i := range int64(200) {
		spans = append(spans, i+1)
	}
	require.EqualValues(t, 100, quantile(spans, 0.50))
	require.EqualValues(t, 198, quantile(spans, 0.99))
	require.EqualValues(t, 1, quantile(spans[:1], 0.99))
	require.EqualValues(t, 0, quantile(nil, 0.99))
}

// A fault that was allowed to take a majority permanently is an excuse forever.
func TestNobodyOwesARecoveryFromALostMajority(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).begin(10, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
	tp.ok(120, 130, "read").op(140, 900, "write", history.Fail, "no-leader").op(1000, 1200, "write", history.Info, "timeout")
	tp.phase(1300, history.PhaseEnd)
	run := tp.run(t, bound(time.Second))
	require.Equal(t, Invalid, checkAvailability(t.Context(), run).Verdict)
	run.Faults[0].Fatal = true
	r := checkAvailability(t.Context(), run)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Reasons[1], "no recovery is due")
}

// Since sessions wait for every node, one that serves nothing to the end is held to account.
func TestEveryNodeAndEveryOperationRecovers(t *testing.T) {
	at := func(tp *tape, node string, f history.Op, from, n int, typ history.Type, code history.Code) {
		for i := range n {
			p := history.Process(1000*from + i)
			tp.add(from+10*i, history.Event{Process: p, Type: history.Invoke, F: f, Key: "k", Node: node})
			tp.add(from+10*i+5, history.Event{Process: p, Type: typ, F: f, Key: "k", Node: node, Error: code})
		}
	}
	whole := func(tp *tape) {
		tp.phase(0, history.PhaseFaults)
		at(tp, "s1", "acquire", 1, 1, history.OK, "")
		tp.begin(20, 0).heal(100, 0).baseline(110).phase(110, history.PhaseQuiet)
		at(tp, "s1", "read", 120, 1, history.OK, "")
		at(tp, "s1", "create", 140, 1, history.OK, "")
	}
	for name, c := range map[string]struct {
		record  func(*tape)
		format  int
		verdict Verdict
		says    string
	}{
		"a node that times out to the end": {func(tp *tape) { at(tp, "s2", "read", 200, 90, history.Fail, "timeout") }, FormatLatest, Invalid,
			"s2 served no read in the 1385 ms after the last heal, in 90 tries (the last: timeout); allowed are 1000 ms"},
		"as sessions of old did not wait for": {func(tp *tape) { at(tp, "s2", "read", 200, 90, history.Fail, "timeout") }, FormatEvidence, Valid, ""},
		"a node that serves at last": {func(tp *tape) {
			at(tp, "s2", "read", 200, 80, history.Fail, "timeout")
			at(tp, "s2", "read", 1100, 1, history.OK, "")
		}, FormatLatest, Valid, ""},
		"a node that refuses as it should": {func(tp *tape) { at(tp, "s2", "acquire", 200, 40, history.Fail, history.LockHeld) }, FormatLatest, Valid, ""},
		"a node that was hardly asked":     {func(tp *tape) { at(tp, "s2", "read", 200, 4, history.Fail, "timeout") }, FormatLatest, Valid, ""},
		"a node that was asked late": {func(tp *tape) { at(tp, "s2", "read", 1000, 40, history.Fail, "timeout") }, FormatLatest, Unknown,
			"s2 served no read"},
		"a lock that nobody ever gets again": {func(tp *tape) { at(tp, "s2", "acquire", 200, 90, history.Fail, history.LockHeld) }, FormatLatest, Invalid,
			"no acquire succeeded in the 1385 ms after the last heal, in 90 tries (the last: lock-held)"},
		"an operation that never succeeded": {func(tp *tape) { at(tp, "s2", "renew", 200, 90, history.Fail, history.NoSession) }, FormatLatest, Valid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			whole(tp)
			c.record(tp)
			at(tp, "s1", "read", 1490, 1, history.OK, "") // clients are there to the end
			tp.phase(1500, history.PhaseEnd)
			settings := bound(time.Second)
			settings.Format = c.format
			r := checkAvailability(context.Background(), tp.run(t, settings))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.says)
		})
	}
}
