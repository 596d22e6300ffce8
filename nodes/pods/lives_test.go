package pods

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func event(pid int) history.ProcessEvent {
	return history.ProcessEvent{Node: "n", Kind: history.ProcessStarted, PID: pid}
}

func TestWatchReportsWhatWasBeforeAndWhatComes(t *testing.T) {
	l := NewLives()
	l.Add(event(1))
	ctx, cancel := context.WithCancel(t.Context())
	reported := make(chan history.ProcessEvent)
	over := make(chan error)
	go func() { over <- l.Watch(ctx, func(e history.ProcessEvent) { reported <- e }) }()
	require.Equal(t, event(1), <-reported)
	require.ErrorIs(t, l.Watch(t.Context(), nil), errWatched)
	l.Add(event(2))
	require.Equal(t, event(2), <-reported)
	cancel()
	require.NoError(t, <-over)

	var again []history.ProcessEvent
	require.NoError(t, l.Watch(ctx, func(e history.ProcessEvent) { again = append(again, e) }))
	require.Equal(t, []history.ProcessEvent{event(1), event(2)}, again, "all that is recorded, though its context has ended")
}

func TestALossEndsWatch(t *testing.T) {
	l := NewLives()
	why := errors.New("the pod of n has ended")
	over := make(chan error)
	var reported []history.ProcessEvent
	go func() { over <- l.Watch(t.Context(), func(e history.ProcessEvent) { reported = append(reported, e) }) }()
	l.Add(event(1))
	l.Lose(why)
	l.Lose(errors.New("and so has another"))
	require.Equal(t, why, <-over)
	require.Equal(t, []history.ProcessEvent{event(1)}, reported)
}

func TestNothingIsRecordedOfAClusterThatIsClosed(t *testing.T) {
	l := NewLives()
	l.Close()
	l.Add(event(1))
	l.Lose(errors.New("its pods have ended"))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, l.Watch(over, func(history.ProcessEvent) { require.Fail(t, "nothing is to be told") }))
}

func TestMoments(t *testing.T) {
	earliest := time.Now()
	latest := earliest.Add(time.Second)
	wall := func(after time.Duration) time.Time { return earliest.Round(0).UTC().Add(after) }
	for after, want := range map[time.Duration]time.Duration{
		300 * time.Millisecond: 300 * time.Millisecond,
		-time.Hour:             0,
		time.Hour:              time.Second,
	} {
		got := Moment(wall(after), earliest, latest)
		require.Equal(t, want, got.Sub(earliest))
		require.Contains(t, got.String(), " m=", "it has a monotonic reading")
	}
	require.Equal(t, latest, Moment(time.Time{}, earliest, latest), "untold")
}
