package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAFindingHoldsOnlyIfSomethingWasSeen(t *testing.T) {
	for _, c := range []struct {
		finding Finding
		holds   bool
	}{
		{Finding{Want: Has, Names: []string{"a"}, Got: []string{"b", "a"}}, true},
		{Finding{Want: Has, Names: []string{"a", "c"}, Got: []string{"a"}}, false},
		{Finding{Want: Has, Got: []string{"a"}}, false},
		{Finding{Want: Lacks, Names: []string{"a"}, Got: []string{"b"}}, true},
		{Finding{Want: Lacks, Names: []string{"a"}, Got: []string{"b", "a"}}, false},
		{Finding{Want: Lacks, Names: []string{"a"}}, false},
		{Finding{Want: Lacks, Got: []string{"b"}}, false},
		{Finding{Want: AtLeast, Least: 2, Count: 2}, true},
		{Finding{Want: AtLeast, Least: 2, Count: 1}, false},
		{Finding{Want: AtLeast, Count: 1}, false},
		{Finding{Got: []string{"a"}, Names: []string{"a"}}, false},
	} {
		require.Equal(t, c.holds, c.finding.Holds(), "%+v", c.finding)
	}
}

// A cluster that is asked for nothing is as asked while nothing happens.
func TestAStartThatAsksForNothingShowsNothing(t *testing.T) {
	var killed, late, skewed Conditions
	killed.SetProcess([]string{"a"}, Killed)
	late.Cut([]string{"a"}, []string{"b"}, Link{Delay: 40 * time.Millisecond})
	skewed.SetClock([]string{"a"}, Clock{Offset: time.Hour})
	cancelled := skewed.Clone()
	cancelled.SetClock([]string{"a"}, Clock{Offset: -time.Hour})
	full := Conditions{Disks: map[string]Disk{"a": {Full: true}}}
	for _, c := range []struct {
		want, part Conditions
		says       string
	}{
		{Conditions{}, Conditions{}, "nothing was asked for"},
		{Conditions{}, killed, "lacks a killed"},
		{Conditions{}, late, "lacks 1 link delay 40ms"},
		{late, killed, "lacks a killed"},
		{Conditions{}, skewed, "lacks a clock +1h0m0s"},
		{Conditions{}, full, "lacks a disk: full"},
		{killed, killed, ""}, {late, late, ""}, {skewed, skewed, ""}, {full, full, ""},
		{cancelled, skewed, ""},
		{Conditions{Processes: map[string]ProcessState{"a": Wiped}}, killed, ""}, // another fault is worse
	} {
		got := Evidence{Want: &c.want, Part: c.part}.Unasked()
		if c.says == "" {
			require.Empty(t, got)
			continue
		}
		require.Len(t, got, 1)
		require.Contains(t, got[0], c.says)
	}
	require.Empty(t, Evidence{Want: &Conditions{}, Findings: []Finding{{}}}.Unasked(), "an action need not ask for conditions")
}

func TestWhoEndedByItselfIsSaid(t *testing.T) {
	got := Measurement{Processes: map[string]ProcessState{"a": Killed}}
	require.Equal(t, []string{"a has ended by itself", "a is killed, not running"}, Compare(&Conditions{}, Conditions{}, got, []string{"a"}))
	full := Conditions{Disks: map[string]Disk{"a": {Full: true}}}
	require.NotContains(t, Compare(&Conditions{}, full, got, []string{"a"}), "a has ended by itself", "its disk lets it")
	down := Conditions{Processes: map[string]ProcessState{"a": Killed}}
	require.NotContains(t, Compare(&down, Conditions{}, got, []string{"a"}), "a has ended by itself", "it had not run")
}

// Of a change, links that are shaped as before need no train; where nothing changes, all do.
func TestLinksThatAChangeLeavesAloneNeedNoTrain(t *testing.T) {
	nodes := []string{"a", "b"}
	late := Link{Delay: 40 * time.Millisecond}
	base := Conditions{Links: map[Pair]Link{{"a", "b"}: late}}
	killed := base.Clone()
	killed.SetProcess([]string{"a"}, Killed)
	later := base.Clone()
	later.Cut([]string{"a"}, []string{"b"}, late)
	plain := Measurement{Links: map[Pair]LinkMeasurement{{"a", "b"}: {UDP: false, TCP: TCPOpen}, {"b", "a"}: {UDP: true, TCP: TCPOpen}},
		Processes: map[string]ProcessState{}}
	down := plain
	down.Processes = map[string]ProcessState{"a": Killed}
	require.Empty(t, Compare(&base, killed, down, nodes))
	const untried = "a>b: no train of datagrams was sent"
	require.Equal(t, []string{untried}, Compare(nil, killed, down, nodes))
	require.Equal(t, []string{untried}, Compare(&base, later, plain, nodes))
	require.Equal(t, []string{untried}, Compare(&killed, killed, down, nodes))
	require.Equal(t, []string{untried}, plain.Mismatches(base, nodes))
	plain.Links[Pair{"b", "a"}] = LinkMeasurement{TCP: TCPTimeout}
	require.Equal(t, []string{"b>a: a datagram was lost"}, Compare(&killed, base, plain, nodes), "what is told without a train")
}
