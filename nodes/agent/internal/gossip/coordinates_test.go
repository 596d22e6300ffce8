package gossip

import (
	"math"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
	"github.com/stretchr/testify/require"
)

// Two nodes that ping each other find out how far apart they are.
func TestCoordinatesConverge(t *testing.T) {
	a, err := newCoordinates()
	require.NoError(t, err)
	b, err := newCoordinates()
	require.NoError(t, err)
	const rtt = 80 * time.Millisecond
	for range 200 {
		a.NotifyPingComplete(&memberlist.Node{Name: "b"}, rtt, b.AckPayload())
		b.NotifyPingComplete(&memberlist.Node{Name: "a"}, rtt, a.AckPayload())
	}
	require.InDelta(t, rtt.Seconds(), a.own.DistanceTo(a.known["b"]).Seconds(), 0.01)
	p := &Pool{config: Config{Name: "a"}, coords: a}
	require.Len(t, p.Coordinates(), 2)

	before := a.own.GetCoordinate()
	for _, payload := range [][]byte{nil, {coordinateVersion}, encodeCoordinate(&coordinate.Coordinate{Vec: []float64{1}})} {
		a.NotifyPingComplete(&memberlist.Node{Name: "c"}, rtt, payload)
	}
	require.Equal(t, before, a.own.GetCoordinate(), "what makes no sense, or is of another space, moves nobody")
	require.NotContains(t, a.known, "c")
}

func FuzzCoordinate(f *testing.F) {
	f.Add(encodeCoordinate(coordinate.NewCoordinate(coordinate.DefaultConfig())))
	f.Add(encodeCoordinate(&coordinate.Coordinate{Vec: []float64{math.NaN()}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCoordinate(data)
		if err != nil {
			return
		}
		require.True(t, c.IsValid())
		require.Equal(t, data, encodeCoordinate(c))
	})
}
