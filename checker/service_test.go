package checker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestEchoesAreCountedUntilTheFinalReads(t *testing.T) {
	echo := func(at int64, e history.Echo) history.Event {
		value, err := json.Marshal(e)
		require.NoError(t, err)
		return history.Event{Time: at, Process: history.Observer, Type: history.Info, F: history.FEcho, Node: "a", Value: value}
	}
	phase := func(at int64, p string) history.Event {
		return history.Event{Time: at, Process: history.Harness, Type: history.Info, F: history.FPhase, Value: json.RawMessage(`"` + p + `"`)}
	}
	run := &Run{Events: []history.Event{phase(0, "faults"), echo(1, history.Echo{To: "b", Took: []time.Duration{50, 40}}),
		echo(2, history.Echo{To: "b", Took: []time.Duration{900, 60}, Lost: 1}), phase(3, "final"), echo(4, history.Echo{To: "b", Lost: 99})}}
	s := EchoOf(run, 500)
	require.Equal(t, 5, s.Asked)
	require.Equal(t, 3, s.Served, "what took longer than a client waits is not served")
	require.EqualValues(t, 50, s.Latency(0.5))
	require.EqualValues(t, 60, s.Latency(0.99))
	require.Zero(t, EchoOf(&Run{}, 500).Asked)
}

func TestHowClientsWereServed(t *testing.T) {
	op := func(invoke, took int64, f history.Op, typ history.Type) history.Operation {
		return history.Operation{Invoke: invoke, Return: invoke + took, F: f, Type: typ, Node: "n"}
	}
	phase := func(at int64, p string) history.Event {
		return history.Event{Time: at, Process: history.Harness, Type: history.Info, F: history.FPhase, Value: json.RawMessage(`"` + p + `"`)}
	}
	run := &Run{Events: []history.Event{phase(0, "faults"), phase(1000, "final")},
		Ops: []history.Operation{op(1, 10, history.OpRead, history.OK), op(2, 30, history.OpWrite, history.OK), op(3, 1, history.OpWrite, history.Fail),
			op(4, 900, history.OpWatch, history.OK), op(210, 40, history.OpRead, history.OK), op(220, 70, history.OpWrite, history.OK), op(1001, 5000, history.OpRead, history.OK)},
		Faults: []history.Fault{{Start: 50, Healed: 200}, {Start: 60, Healed: 100}}}
	s := ServiceOf(run, nil)
	require.Equal(t, 5, s.Asked, "neither the watch nor the final read")
	require.Equal(t, 4, s.Served)
	require.EqualValues(t, 70, s.Latency(1))
	require.EqualValues(t, 90, *s.Recovered, "of the last heal, until a change was served")
	require.Empty(t, s.Lost)

	reads := ServiceOf(run, func(op *history.Operation) bool { return op.F == history.OpRead })
	require.Equal(t, 2, reads.Asked)
	require.Nil(t, reads.Recovered)
	require.Len(t, reads.Lost, 2)
	require.Nil(t, ServiceOf(&Run{Ops: run.Ops}, nil).Recovered, "nothing was healed")
}
