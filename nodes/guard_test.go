package nodes

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

func TestAPanicIsAnErrorThatNamesThePlace(t *testing.T) {
	err := Guard("Set of something", func() error { panic("no such pod") })
	require.ErrorContains(t, err, "Set of something panicked: no such pod, in faultline/nodes.TestAPanicIsAnErrorThatNamesThePlace.func1 (guard_test.go:")
	var empty map[string]int
	err = Guard("Set of something", func() error { empty["a"] = 1; return nil })
	require.ErrorContains(t, err, "Set of something panicked: assignment to entry in nil map, in faultline/nodes.TestAPanic")
	require.ErrorAs(t, err, new(*Panicked))
	require.ErrorIs(t, Guard("", func() error { return io.EOF }), io.EOF)
	require.NoError(t, Guard("", func() error { return nil }))
}

func TestACallThatIgnoresItsContextIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, got := make(chan struct{}), make(chan int, 1)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("no minute longer"))
		defer cancel()
		began := time.Now()
		value, err := Bounded(ctx, time.Second, "Start", func(context.Context) (int, error) {
			<-release
			return 7, nil
		}, func(late int) { got <- late })
		require.Equal(t, time.Minute+time.Second, time.Since(began))
		require.Zero(t, value)
		require.ErrorIs(t, err, ErrGivenUp)
		require.EqualError(t, err, "Start did not return 1s after its time was up: it ignores that its time is up (no minute longer)")
		close(release)
		require.Equal(t, 7, <-got, "what it makes after all is not lost")

		value, err = Bounded(ctx, time.Second, "Start", func(context.Context) (int, error) {
			time.Sleep(time.Second / 2) // its time is up already
			return 8, nil
		}, nil)
		require.NoError(t, err)
		require.Equal(t, 8, value)
	})
}

func TestACallThatEndsItsGoroutineIsAnError(t *testing.T) {
	_, err := Bounded(t.Context(), time.Second, "Observe", func(context.Context) (int, error) {
		runtime.Goexit() // as t.FailNow does, in a client of somebody's test
		return 0, nil
	}, nil)
	require.EqualError(t, err, "Observe ended its goroutine")
}

// wild panics in all that it is asked for.
type wild struct{}

func (wild) Endpoint(string) Endpoint                                   { return Endpoint{} }
func (wild) Watch(context.Context, func(history.ProcessEvent)) error    { panic("wild") }
func (wild) Echo(context.Context, string, string) (history.Echo, error) { panic("wild") }
func (wild) Set(context.Context, faults.Conditions) error               { panic("wild") }
func (wild) Measure(context.Context) (faults.Measurement, error)        { panic("wild") }
func (wild) Exited(context.Context, string) error                       { panic("wild") }
func (wild) Logs(context.Context, string, io.Writer) error              { panic("wild") }
func (wild) Close(context.Context) error                                { panic("wild") }

func TestOfEveryPanicOfAClusterItsGuardIsTold(t *testing.T) {
	ctx := t.Context()
	for what, call := range map[string]func(Cluster) error{
		"Watch":   func(c Cluster) error { return c.Watch(ctx, nil) },
		"Set":     func(c Cluster) error { return c.Set(ctx, faults.Conditions{}) },
		"Measure": func(c Cluster) error { _, err := c.Measure(ctx); return err },
		"Exited":  func(c Cluster) error { return c.Exited(ctx, "") },
		"Logs":    func(c Cluster) error { return c.Logs(ctx, "", io.Discard) },
		"Close":   func(c Cluster) error { return c.Close(ctx) },
		"Echo": func(c Cluster) error {
			e, can := AsEchoer(c)
			require.True(t, can)
			_, err := e.Echo(ctx, "", "")
			return err
		},
	} {
		var told *Panicked
		err := call(Guarded(wild{}, func(p *Panicked) { told = p }))
		require.ErrorContains(t, err, what+" of the runtime panicked: wild")
		require.NotNil(t, told, what)
	}
}

func TestOfEveryPanicOfAClientItsGuardIsTold(t *testing.T) {
	ctx := t.Context()
	type all interface {
		Conn
		Leaders
		Leaver
		Members
		WANMembers
	}
	as := func(what string, ok bool) { require.True(t, ok, what) }
	for what, call := range map[string]func(Conn) error{
		"read":     func(c Conn) error { _, err := c.Do(ctx, Op{F: history.OpRead}); return err },
		"acquire":  func(c Conn) error { _, err := c.Do(ctx, Op{F: history.OpAcquire}); return err },
		"Observe":  func(c Conn) error { _, err := c.Observe(ctx); return err },
		"Leave":    func(c Conn) error { l, ok := AsLeaver(c); as("leaver", ok); return l.Leave(ctx) },
		"Transfer": func(c Conn) error { l, ok := AsLeaders(c); as("leaders", ok); return l.Transfer(ctx, "") },
		"Identity": func(c Conn) error { m, ok := AsMembers(c); as("members", ok); _, err := m.Identity(ctx); return err },
		"Peers":    func(c Conn) error { m, ok := AsMembers(c); as("members", ok); _, err := m.Peers(ctx); return err },
		"RemovePeer": func(c Conn) error {
			m, ok := AsMembers(c)
			as("members", ok)
			return m.RemovePeer(ctx, "")
		},
		"WANMembers": func(c Conn) error {
			m, ok := AsWANMembers(c)
			as("WAN members", ok)
			_, err := m.WANMembers(ctx)
			return err
		},
		"Close": func(c Conn) error { c.Close(); return errors.New("Close of the client of s1 panicked") },
	} {
		var told *Panicked
		// A nil interface panics in every method.
		err := call(GuardedConn(struct{ all }{}, "s1", func(p *Panicked) { told = p }))
		require.ErrorContains(t, err, what+" of the client of s1 panicked")
		require.NotNil(t, told, what)
	}
}

// What a client cannot do, its guard cannot do either; what it can, is the same with and without.
func TestAGuardAddsNothing(t *testing.T) {
	bare := struct{ Conn }{}
	for _, c := range []Conn{bare, GuardedConn(bare, "s1", nil)} {
		_, leaders := AsLeaders(c)
		_, leaver := AsLeaver(c)
		_, members := AsMembers(c)
		_, wan := AsWANMembers(c)
		require.False(t, leaders || leaver || members || wan)
	}
	moving := struct {
		Conn
		Leaders
	}{}
	for _, c := range []Conn{moving, GuardedConn(moving, "s1", nil)} {
		_, leaders := AsLeaders(c)
		_, leaver := AsLeaver(c)
		require.True(t, leaders && !leaver)
	}
}
