package faultline

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// echoing is a cluster whose links answer, but for those to c, where it cannot be told.
type echoing struct {
	nodes.Cluster
	asked atomic.Int32
}

func (e *echoing) Echo(_ context.Context, from, to string) (history.Echo, error) {
	if to == "c-s1" {
		return history.Echo{}, errors.New("its pod is gone")
	}
	if e.asked.Add(1) == 1 {
		return history.Echo{To: to}, nil // it has just begun
	}
	return history.Echo{To: to, Took: []time.Duration{time.Millisecond}, Lost: 1}, nil
}

func TestEchoesAreWrittenDownOfEveryPairOfDatacenters(t *testing.T) {
	three, err := topologies.Parse("t.yaml", []byte("name: t\ndatacenters: [{name: a, servers: 3}, {name: b, servers: 3}, {name: c, servers: 1}]\n"))
	require.NoError(t, err)
	one, err := topologies.Load("dc1-3")
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		log := history.NewMemory()
		cluster := nodes.Guarded(&echoing{}, func(*nodes.Panicked) {})
		e := newEcho(three, cluster, log)
		require.Equal(t, [][2]string{{"a-s1", "b-s1"}, {"a-s1", "c-s1"}, {"b-s1", "c-s1"}}, e.pairs)
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		e.run(ctx)
		events := log.Events()
		require.Len(t, events, 3, "every second, when there is something to tell")
		for _, event := range events {
			require.Equal(t, history.Observer, event.Process)
			require.Equal(t, history.FEcho, event.F)
			require.Equal(t, "a-s1", event.Node)
			require.JSONEq(t, `{"to":"b-s1","took_ns":[1000000],"lost":1}`, string(event.Value))
		}
	})
	require.Empty(t, newEcho(one, &echoing{}, nil).pairs, "of one datacenter there is no pair")
	var mute struct{ nodes.Cluster }
	require.Empty(t, newEcho(three, mute, nil).pairs, "not every cluster can tell")
	require.Empty(t, newEcho(three, nodes.Guarded(mute, nil), nil).pairs)
}
