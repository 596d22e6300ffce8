package pods

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

func TestAHealedLinkIsLookedAtUntilATrainMeetsNothing(t *testing.T) {
	there, back := nodes.Link{From: "a", To: "b"}, nodes.Link{From: "b", To: "a"}
	late := nodes.LinkState{Delay: 2 * time.Second}
	var c closer
	looked := func() []nodes.Link {
		trains, _ := c.trains()
		return slices.SortedFunc(maps.Keys(trains), func(a, b nodes.Link) int { return len(a.From+a.To) - len(b.From+b.To) })
	}
	require.Empty(t, looked())
	c.set(map[nodes.Link]nodes.LinkState{there: late, {From: "a", To: "c"}: {Drop: true}})
	trains, set := c.trains()
	require.Equal(t, late.Train(), trains[there])
	require.Less(t, trains[back].Wait, time.Second, "the other direction is to be quick")
	require.Len(t, trains, 2)

	c.set(nil)
	whole := nodes.TrainSeen{Sent: 100, Arrived: 100}
	c.saw(set, map[nodes.Link]nodes.LinkSeen{there: {Train: whole}})
	require.Equal(t, []nodes.Link{there}, looked(), "that train left before the heal")
	_, set = c.trains()
	for _, seen := range []nodes.TrainSeen{{}, {Sent: 100}, {Sent: 100, Arrived: 100, Least: 40 * time.Millisecond, Median: 40 * time.Millisecond}} {
		c.saw(set, map[nodes.Link]nodes.LinkSeen{there: {Train: seen}})
		require.Equal(t, []nodes.Link{there}, looked(), "%+v", seen)
	}
	c.saw(set, map[nodes.Link]nodes.LinkSeen{there: {Train: whole}})
	require.Empty(t, looked())

	c.set(map[nodes.Link]nodes.LinkState{there: late})
	c.set(map[nodes.Link]nodes.LinkState{there: {Drop: true}})
	require.Empty(t, looked(), "nothing arrives")
	c.set(nil)
	require.Equal(t, []nodes.Link{there}, looked())
}
