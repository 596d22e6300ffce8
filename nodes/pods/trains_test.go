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
	c.set(faults.Conditions{Links: map[faults.Pair]faults.Link{there: late, {From: "a", To: "c"}: {Drop: true}}})
	trains, set := c.trains()
	require.Equal(t, late.Train(), trains[there])
	require.Less(t, trains[back].Wait, time.Second, "the other direction is to be quick")
	require.Len(t, trains, 2)

	c.set(faults.Conditions{})
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

	c.set(faults.Conditions{Links: map[faults.Pair]faults.Link{there: late}})
	c.set(faults.Conditions{Links: map[faults.Pair]faults.Link{there: {Drop: true}}})
	require.Empty(t, looked(), "nothing arrives")
	c.set(faults.Conditions{})
	require.Equal(t, []faults.Pair{there}, looked())
}

// A link that stays as it is, and was seen so, is left alone while others change.
func TestOnlyLinksThatAChangeTouchesAreLookedAtCloser(t *testing.T) {
	one, other := faults.Pair{From: "a", To: "b"}, faults.Pair{From: "a", To: "c"}
	late := faults.Link{Delay: 40 * time.Millisecond}
	base := faults.Conditions{Links: map[faults.Pair]faults.Link{one: late, other: late}}
	asLate := faults.LinkMeasurement{Train: faults.TrainMeasurement{Sent: 100, Arrived: 100, Least: late.Delay, Median: late.Delay, P90: late.Delay}}
	asGood := faults.LinkMeasurement{Train: faults.TrainMeasurement{Sent: 100, Arrived: 100}}
	var c closer
	require.Empty(t, c.lookedAt())
	killed := base.Clone()
	killed.SetProcess([]string{"a"}, faults.Killed)
	c.set(base)
	c.set(killed)
	require.Equal(t, []string{"a>b", "a>c", "b>a", "c>a"}, c.lookedAt(), "nobody has seen them so")
	c.saw(c.sets, map[faults.Pair]faults.LinkMeasurement{one: asLate, other: asGood})
	require.Equal(t, []string{"a>b", "a>c", "b>a", "c>a"}, c.lookedAt(), "the same change is measured again as a whole")

	c.set(base)
	require.Equal(t, []string{"a>c", "c>a"}, c.lookedAt(), "of one link nobody has seen that it is late")
	c.saw(c.sets, map[faults.Pair]faults.LinkMeasurement{other: asLate})
	c.set(killed)
	require.Empty(t, c.lookedAt())
	worse := killed.Clone()
	worse.Cut([]string{"a"}, []string{"b"}, faults.Link{Loss: 0.2})
	c.set(worse)
	require.Equal(t, []string{"a>b", "b>a"}, c.lookedAt())
	c.set(base)
	require.Equal(t, []string{"a>b", "b>a"}, c.lookedAt(), "so is its heal")
	c.set(base)
	require.Equal(t, []string{"a>b", "a>c", "b>a", "c>a"}, c.lookedAt(), "nothing changes: all is looked at")
}

// What gets through a cut that is none would come late over a link that is late by itself.
func TestACutOfALateLinkIsLookedAtForLong(t *testing.T) {
	link := faults.Pair{From: "a", To: "b"}
	var c closer
	for _, cut := range []faults.Link{{Drop: true, Delay: time.Second}, {Reject: true, Delay: time.Second, Loss: 0.01}} {
		c.set(faults.Conditions{Links: map[faults.Pair]faults.Link{link: cut}})
		trains, _ := c.trains()
		require.Greater(t, trains[link].Wait, time.Second)
		require.Equal(t, faults.Link{Delay: time.Second}.Train(), trains[link])
	}
}

func (c *closer) lookedAt() (links []string) {
	trains, _ := c.trains()
	for link := range trains {
		links = append(links, link.String())
	}
	slices.Sort(links)
	return links
}
