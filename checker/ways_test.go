package checker

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

func hop(node string, role history.Role, ms float64) history.Hop {
	return history.Hop{Node: node, Role: role, MS: ms}
}

func TestWays(t *testing.T) {
	tp := &tape{}
	near := of("write", "k", "1")
	near.Hops = []history.Hop{hop("a", history.RoleLeader, 3)}
	far := of("write", "k", "2")
	far.Hops = []history.Hop{hop("e", history.RoleClient, 90), hop("c", history.RoleFollower, 88), hop("b", history.RoleFollower, 40), hop("a", history.RoleLeader, 5)}
	tp.far(1, 6, "a", "", near).far(100, 200, "e", "dc1", far)
	tp.begin(1000, 0)
	tp.far(1100, 1200, "d", "dc1", failed(of("write", "k", "3"), history.DCDown, "d:leader"))
	lost := of("write", "k", "4")
	lost.Type, lost.Error, lost.Hops = history.Info, history.Timeout, hopsOf("d:leader b:follower")
	tp.far(1300, 1400, "d", "dc1", lost).far(1500, 1510, "a", "dc1", near).far(1520, 1530, "a", "dc1", failed(of("cas", "k", "[1,2]"), history.CASMismatch, ""))
	tp.heal(2000, 0)
	tp.far(2100, 2150, "b", "dc1", near).far(3000, 3400, "c", "dc1", far)
	run := tp.runOf(t, twoDCs(), Settings{})
	ways := Ways(run)
	require.Len(t, ways, 2, "what nobody asked for is no way")
	local, remote := ways[0], ways[1]
	require.Equal(t, []string{"dc1", "dc1", "dc2", "dc1"}, []string{local.Asking, local.Meant, remote.Asking, remote.Meant})
	require.Equal(t, WayCounts{4, 4}, local.WayCounts, "a compare that does not hold is served")
	require.Equal(t, WayCounts{4, 2}, remote.WayCounts)
	require.InDelta(t, 0.5, remote.Rate(), 1e-9)
	require.Equal(t, 100*time.Millisecond, remote.P50)
	require.Equal(t, 400*time.Millisecond, remote.P99)
	require.Equal(t, []WayCounts{{2, 2}}, local.During)
	require.Equal(t, []WayCounts{{2, 0}}, remote.During)
	require.Equal(t, []Recovery{{0, 150 * time.Millisecond, true}}, local.Recoveries)
	require.Equal(t, []Recovery{{0, 1400 * time.Millisecond, true}}, remote.Recoveries, "each way recovers by itself")
	require.Equal(t, []Failure{{history.DCDown, history.Fail, StageServer, 1}, {history.Timeout, history.Info, StageRemoteServer, 1}}, remote.Failures)
	spent := func(w Way) map[Stage]time.Duration {
		all := map[Stage]time.Duration{}
		for _, s := range w.Stages {
			all[s.Stage] = s.P50
		}
		return all
	}
	require.Equal(t, map[Stage]time.Duration{StageNone: 7 * time.Millisecond, StageLeader: 3 * time.Millisecond}, spent(local))
	require.Equal(t, map[Stage]time.Duration{StageNone: 10 * time.Millisecond, StageClient: 2 * time.Millisecond, StageServer: 48 * time.Millisecond,
		StageRemoteServer: 35 * time.Millisecond, StageRemoteLeader: 5 * time.Millisecond}, spent(remote), "of each node by itself, with the link behind it")
	require.Empty(t, Ways(tp.runOf(t, serversNamed("a", "b"), Settings{})))
	require.InDelta(t, 1, WayCounts{}.Rate(), 0)
}

// A leader that passes a request on to another datacenter is a server on its way.
func TestStages(t *testing.T) {
	op := &history.Operation{Node: "a", DC: "dc2"}
	require.Equal(t, StageServer, stageOf(twoDCs(), op, hop("a", history.RoleLeader, 0)))
	op.DC = "dc1"
	require.Equal(t, StageLeader, stageOf(twoDCs(), op, hop("a", history.RoleLeader, 0)))
	require.True(t, slices.IsSortedFunc(stages, CompareStages))
}

func TestAvailabilityOfEachDatacenter(t *testing.T) {
	judge := func(s Settings, after func(*tape)) Result {
		tp := &tape{}
		tp.phase(0, history.PhaseFaults)
		for i, n := range []string{"a", "c"} {
			tp.far(10*i+1, 10*i+2, n, "dc1", of("write", "k", "1")).far(10*i+3, 10*i+4, n, "dc2", of("write", "k", "2"))
		}
		tp.begin(100, 0).heal(200, 0).baseline(300).phase(300, history.PhaseQuiet)
		after(tp)
		return checkAvailability(context.Background(), tp.phase(9000, history.PhaseEnd).runOf(t, twoDCs(), s))
	}
	asks := func(tp *tape, ms int, node, dc string, good bool) {
		for i, f := range []history.Op{history.OpWrite, history.OpRead} {
			e := of(f, "k", "7")
			if !good {
				e = failed(e, history.DCDown, "")
			}
			tp.far(ms+2*i, ms+2*i+1, node, dc, e)
		}
	}
	bound := Settings{RecoverWithin: 5 * time.Second, Format: FormatLatest}
	all := func(bad string) func(*tape) {
		return func(tp *tape) {
			for ms := 1000; ms < 8000; ms += 500 {
				for i, n := range []string{"a", "c"} {
					for j, dc := range []string{"dc1", "dc2"} {
						asks(tp, ms+20*i+10*j, n, dc, bad != n+">"+dc && bad != dc)
					}
				}
			}
		}
	}
	r := judge(bound, all(""))
	require.Equal(t, Valid, r.Verdict, r.Reasons)
	require.Contains(t, r.Summary, "dc1: clients wrote ")
	require.Contains(t, r.Summary, "; dc2: clients wrote ")
	names := map[string]float64{}
	for _, m := range r.Metrics {
		names[m.Name] = m.Value
	}
	require.InDelta(t, 100, names["dc1 → dc2: success rate"], 0)
	require.InDelta(t, 0.801, names["dc2 → dc2: slowest recovery after a heal"], 0.3)

	r = judge(bound, all("dc2"))
	require.Equal(t, Invalid, r.Verdict, "that one datacenter serves does not help the other")
	require.Contains(t, r.Summary, "dc2: no write succeeded in the ")

	r = judge(bound, all("a>dc2"))
	require.Equal(t, Invalid, r.Verdict, "one way is not served")
	require.Contains(t, r.Summary, "dc2: a served no change in the ")

	r = judge(Settings{RecoverWithin: time.Minute, Format: FormatLatest}, all("a>dc2"))
	require.Equal(t, Unknown, r.Verdict, "it has time yet")
}

// What becomes of the local path while only links between datacenters are broken is a figure.
func TestTheLocalPathWhileOthersAreBroken(t *testing.T) {
	all := []string{"a", "b", "c", "d", "e"}
	between, within := broken(nil, "a-c"), broken(nil, "a-b")
	for name, c := range map[string]struct {
		want  faults.Conditions
		found bool
	}{"between": {between, true}, "within": {within, false}} {
		tp := &tape{}
		tp.stage(1000, history.FaultEvent{Stage: history.FaultStart, Lasts: true, Targets: all[:1]}, shown(c.want, c.want, all...))
		tp.far(2000, 2040, "a", "dc1", of("write", "k", "1")).far(2100, 2900, "a", "dc2", of("write", "k", "1"))
		figures := localMetrics(tp.phase(9000, history.PhaseEnd).runOf(t, twoDCs(), Settings{}))
		if !c.found {
			require.Empty(t, figures, name)
			continue
		}
		require.Equal(t, []Metric{{"local, while only links between datacenters are: success rate", 100, "%"}, {"local, while only links between datacenters are: latency p99", 40, "ms"}}, figures)
	}
}
