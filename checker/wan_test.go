package checker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// view is "a b c! d?" of the servers of twoDCs: ! is failed, ? has left.
func view(names ...string) (v history.WANView) {
	dcs := map[string]string{"a": "dc1", "b": "dc1", "c": "dc2", "d": "dc2", "e": "dc2", "x": "dc1"}
	for _, name := range names {
		m := history.WANMember{Name: name[:1], DC: dcs[name[:1]], Server: true, Status: history.MemberAlive}
		switch name[1:] {
		case "!":
			m.Status = history.MemberFailed
		case "?":
			m.Status = history.MemberLeft
		case "-":
			m.Server = false
		}
		v.Members = append(v.Members, m)
	}
	return v
}

func (tp *tape) wan(ms int, node string, v history.WANView) *tape {
	return tp.add(ms, history.Event{Process: history.Observer, Type: history.Info, F: history.FWan, Node: node, Value: encode(v)})
}

func TestWAN(t *testing.T) {
	whole := view("a", "b", "c", "d")
	others := func(tp *tape, ms int) {
		for _, n := range []string{"b", "c", "d"} {
			tp.wan(ms, n, whole)
		}
	}
	// The last heal is done at 2 s, and the bound is 5 s.
	for name, c := range map[string]struct {
		verdict Verdict
		says    string
		record  func(*tape)
	}{
		"whole": {Valid, "each of 4 servers of dc1, dc2 knew just the others 1000 ms after the last heal", func(tp *tape) {
			tp.wan(3000, "a", whole)
			others(tp, 3000)
		}},
		"who has left is remembered": {Valid, "", func(tp *tape) {
			tp.wan(3000, "a", view("a", "b", "c", "d", "x?"))
			others(tp, 3000)
		}},
		"wrong while a fault lasts": {Valid, "", func(tp *tape) {
			tp.wan(1500, "a", view("a", "b", "c!", "d!")).wan(2500, "a", view("a", "b", "c!")).wan(6900, "a", whole)
			others(tp, 7000)
		}},
		"right once, and mistaken again": {Valid, "", func(tp *tape) {
			tp.wan(3000, "a", whole)
			for ms := 4000; ms < 9000; ms += 1000 {
				tp.wan(ms, "a", view("a", "b", "c", "d!"))
			}
			others(tp, 9000)
		}},
		"never whole again": {Invalid, "to a, 6000 ms after the last heal, c of dc2 is failed; allowed are 5000 ms", func(tp *tape) {
			for ms := 3000; ms <= 8000; ms += 1000 {
				tp.wan(ms, "a", view("a", "b", "c!", "d"))
			}
			others(tp, 8000)
		}},
		"nobody but itself": {Invalid, "to a, 6000 ms after the last heal, b of dc1 is not in the pool (and 2 more)", func(tp *tape) {
			for ms := 3000; ms <= 8000; ms += 1000 {
				tp.wan(ms, "a", view("a"))
			}
			others(tp, 8000)
		}},
		"never whole, and not asked for long enough": {Unknown, "to a, 4500 ms after the last heal, c of dc2 is failed", func(tp *tape) {
			for ms := 2500; ms <= 6500; ms += 1000 {
				tp.wan(ms, "a", view("a", "b", "c!", "d"))
			}
			others(tp, 7000)
		}},
		"asked but once": {Unknown, "c of dc2 is failed", func(tp *tape) {
			tp.wan(8000, "a", view("a", "b", "c!", "d"))
			others(tp, 8000)
		}},
		"never asked": {Unknown, "a was not asked for the pool after the last heal", func(tp *tape) {
			tp.wan(1000, "a", whole)
			others(tp, 8000)
		}},
		"it does not answer": {Invalid, "nobody is known, as it did not answer: timeout; allowed are", func(tp *tape) {
			for ms := 3000; ms <= 8000; ms += 1000 {
				tp.wan(ms, "a", history.WANView{Error: "timeout"})
			}
			others(tp, 8000)
		}},
		"a client agent": {Invalid, "at 1.000 s a had e of dc2 in the pool of servers, which is none", func(tp *tape) {
			tp.wan(1000, "a", view("a", "e")).wan(3000, "a", whole)
			others(tp, 3000)
		}},
		"one that says it is no server": {Invalid, "at 1.000 s a had x of dc1 in the pool of servers, which is none", func(tp *tape) {
			tp.wan(1000, "a", view("a", "x-")).wan(3000, "a", whole)
			others(tp, 3000)
		}},
		"nonsense": {Unknown, "a view of the pool that cannot be read", func(tp *tape) {
			tp.add(3000, history.Event{Process: history.Observer, F: history.FWan, Node: "a", Value: []byte("7")})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tp := &tape{}
			tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(100, 0)
			var late, early tape
			c.record(&late)
			for _, e := range late.events {
				if e.Time < 2e9 {
					early.events = append(early.events, e)
				}
			}
			for _, e := range early.events {
				tp.add(int(e.Time/1e6), e)
			}
			tp.heal(1900, 0).baseline(2000).phase(2000, history.PhaseQuiet)
			for _, e := range late.events[len(early.events):] {
				tp.add(int(e.Time/1e6), e)
			}
			run := tp.phase(9000, history.PhaseEnd).runOf(t, twoDCs(), Settings{RecoverWithin: 5 * time.Second})
			require.Empty(t, tellsWAN(run))
			r := checkWAN(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, r.Reasons)
			require.Contains(t, r.Summary, c.says)
		})
	}
	require.NotEmpty(t, tellsWAN(&Run{Topology: twoDCs()}))
	require.NotEmpty(t, tellsWAN(&Run{Topology: serversNamed("a")}))
}

// What was never healed, or by a harness that stood still, is not held against the pool.
func TestWANIsExcused(t *testing.T) {
	tp := &tape{}
	tp.phase(0, history.PhaseFaults).ok(1, 2, "write").begin(100, 0).heal(1900, 0)
	tp.mark(2000, "baseline", `{"step":-1,"stage":"baseline","done":true}`).phase(2000, history.PhaseQuiet)
	for ms := 3000; ms <= 8000; ms += 1000 {
		for _, n := range []string{"a", "b", "c", "d"} {
			tp.wan(ms, n, view("a"))
		}
	}
	r := checkWAN(context.Background(), tp.phase(9000, history.PhaseEnd).runOf(t, twoDCs(), Settings{RecoverWithin: 5 * time.Second}))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Reasons[len(r.Reasons)-1], "the cluster was not seen as it was before the faults")
}
