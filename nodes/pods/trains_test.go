package pods

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestAHealedLinkIsLookedAtUntilATrainMeetsNothing(t *testing.T) {
	there, back := faults.Pair{From: "a", To: "b"}, faults.Pair{From: "b", To: "a"}
	late := faults.Link{Delay: 2 * time.Second}
	var c closer
	looked := func() []faults.Pair {
		trains, _ := c.trains()
		return slices.SortedFunc(maps.Keys(trains), func(a, b faults.Pair) int { return len(a.From+a.To) - len(b.From+b.To) })
	}
	require.Empty(t, looked())
	c.set(map[faults.Pair]faults.Link{there: late, {From: "a", To: "c"}: {Drop: true}})
	trains, set := c.trains()
	require.Equal(t, late.Train(), trains[there])
	require.Less(t, trains[back].Wait, time.Second, "the other direction is to be quick")
	require.Len(t, trains, 2)

	c.set(nil)
	whole := faults.TrainMeasurement{Sent: 100, Arrived: 100}
	c.saw(set, map[faults.Pair]faults.LinkMeasurement{there: {Train: whole}})
	require.Equal(t, []faults.Pair{there}, looked(), "that train left before the heal")
	_, set = c.trains()
	for _, seen := range []faults.TrainMeasurement{{}, {Sent: 100}, {Sent: 100, Arrived: 100, Least: 40 * time.Millisecond, Median: 40 * time.Millisecond}} {
		c.saw(set, map[faults.Pair]faults.LinkMeasurement{there: {Train: seen}})
		require.Equal(t, []faults.Pair{there}, looked(), "%+v", seen)
	}
	c.saw(set, map[faults.Pair]faults.LinkMeasurement{there: {Train: whole}})
	require.Empty(t, looked())

	c.set(map[faults.Pair]faults.Link{there: late})
	c.set(map[faults.Pair]faults.Link{there: {Drop: true}})
	require.Empty(t, looked(), "nothing arrives")
	c.set(nil)
	require.Equal(t, []faults.Pair{there}, looked())
}
