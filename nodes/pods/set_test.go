package pods

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/topologies"
)

// fakePod is a pod whose injector applies states to nothing, and whose node may dislike its disk.
type fakePod struct {
	mu      sync.Mutex
	bad     bool // the node ends as soon as it has started
	running bool
	starts  int
	applied injector.State // last

	starting func(context.Context) error // called by a start; may be nil
}

var errEnded = errors.New("a ended as soon as it was started")

func (f *fakePod) apply(s injector.State) (faults.ProcessState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(s.Disk.Damages) != len(f.applied.Disk.Damages) {
		f.running = false
	}
	f.applied = s
	if !f.running {
		return faults.Killed, nil
	}
	return faults.Running, nil
}

func (f *fakePod) start(ctx context.Context, _ nodes.Launch) error {
	if f.starting != nil {
		if err := f.starting(ctx); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.starts++
	f.running = !f.bad
	return nil
}

func (f *fakePod) died(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running {
		return nil
	}
	return errEnded
}

func (f *fakePod) group(t *testing.T) *Group {
	open := func(context.Context) (io.ReadWriteCloser, error) {
		ours, theirs := net.Pipe()
		heard := func(injector.Heard) (injector.Hearing, error) { return injector.Hearing{}, nil }
		go func() {
			defer theirs.Close()
			injector.Serve(theirs, theirs, injector.Handlers{Apply: f.apply, Heard: heard})
		}()
		return ours, nil
	}
	g := NewGroup(slog.New(slog.DiscardHandler), noLaunch,
		[]Member{{Node: topologies.Node{Name: "a"}, Open: open, Start: f.start, Died: f.died}})
	t.Cleanup(func() { require.NoError(t, g.Close()) })
	return g
}

// A node may end over its disk, and may not come back before the heal; over nothing else.
func TestANodeThatEndsOnItsDamagedDiskIsTolerated(t *testing.T) {
	f := &fakePod{}
	g := f.group(t)
	require.NoError(t, g.Begin(t.Context(), "a", faults.Conditions{}))
	require.Equal(t, 1, f.starts)

	var damaged faults.Conditions
	damaged.SetDisk([]string{"a"}, faults.Disk{Damages: []faults.Damage{{Kind: faults.BitFlip, File: "log", Draw: 7}}})
	f.bad = true
	require.NoError(t, g.Set(t.Context(), damaged))
	require.Equal(t, []faults.Damage{{Kind: faults.BitFlip, File: "log", Draw: 7}}, f.applied.Disk.Damages)
	require.Equal(t, 2, f.starts, "it was tried")
	require.False(t, f.running)

	require.ErrorIs(t, g.Set(t.Context(), faults.Conditions{}), errEnded, "nothing excuses it after the heal")
	f.bad = false
	require.NoError(t, g.Set(t.Context(), faults.Conditions{}))
	require.True(t, f.running, "it is back")
	require.Empty(t, f.applied.Disk.Damages)
}

// A start that has begun is carried through.
func TestAStartIsNotCutOff(t *testing.T) {
	f := &fakePod{}
	ctx, cancel := context.WithCancel(t.Context())
	f.starting = func(starting context.Context) error {
		cancel()
		return starting.Err()
	}
	g := f.group(t)
	require.NoError(t, g.Set(ctx, faults.Conditions{}))
	require.True(t, f.running)
	f.running = false
	require.ErrorIs(t, g.Set(ctx, faults.Conditions{}), context.Canceled, "and none is begun when it is too late")
	require.Equal(t, 1, f.starts)
}

func TestOnlyDisksThatEndNodesExcuseThem(t *testing.T) {
	for name, c := range map[string]struct {
		disk    faults.Disk
		excused bool
	}{
		"healthy": {faults.Disk{}, false},
		"lies":    {faults.Disk{Lie: true}, false},
		"slow":    {faults.Disk{SlowSync: 50_000_000}, false},
		"full":    {faults.Disk{Full: true}, true},
		"reads":   {faults.Disk{FailRead: true}, true},
		"writes":  {faults.Disk{FailWrite: true}, true},
		"syncs":   {faults.Disk{FailSync: true}, true},
	} {
		var want faults.Conditions
		want.SetDisk([]string{"a"}, c.disk)
		err := (&fakePod{bad: true}).group(t).Set(t.Context(), want)
		if c.excused {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, errEnded, name)
		}
	}
}

// What is asked of clocks and disks reaches the pod with nothing left out.
func TestStatesCarryClocksAndDisks(t *testing.T) {
	f := &fakePod{}
	var want faults.Conditions
	want.SetClock([]string{"a"}, faults.Clock{Offset: 1, Drift: 2, Strobe: 3, Period: 4, Monotonic: 5})
	want.SetDisk([]string{"a"}, faults.Disk{Lie: true, SlowSync: 6, Full: true, FailRead: true, FailWrite: true, FailSync: true,
		Torn: 7, Names: faults.NamesPOSIX, Damages: []faults.Damage{{Kind: faults.BitFlip, File: "x", Draw: 8}, {Kind: faults.Truncate, File: "y", Draw: 9}}})
	states, err := f.group(t).states(want)
	require.NoError(t, err)
	got := states["a"]
	require.Equal(t, want.Clocks["a"], got.Clock)
	require.Equal(t, want.Disks["a"], got.Disk)
	healthy, err := f.group(t).states(faults.Conditions{})
	require.NoError(t, err)
	require.True(t, healthy["a"].Disk.Healthy() && healthy["a"].Clock.Healthy())
	for _, unknown := range []faults.Conditions{
		{Clocks: map[string]faults.Clock{"x": {Offset: 1}}}, {Disks: map[string]faults.Disk{"x": {Full: true}}},
	} {
		_, err := f.group(t).states(unknown)
		require.ErrorContains(t, err, `no node "x"`)
	}
}

func TestRightsAreWhatConditionsTake(t *testing.T) {
	for need, want := range map[faults.Capability]injector.Rights{
		faults.LinkDrop: {}, faults.ProcessKill: {}, faults.ProcessAbsent: {},
		faults.ClockWall: {Clock: true}, faults.ClockMonotonic: {Clock: true},
		faults.ProcessOff: {Disk: true}, faults.DiskSync: {Disk: true}, faults.DiskSlow: {Disk: true}, faults.DiskFull: {Disk: true},
		faults.DiskError: {Disk: true}, faults.DiskDamage: {Disk: true},
	} {
		require.Equal(t, want, RightsFor([]faults.Capability{need}), need)
	}
	require.Equal(t, injector.Rights{Clock: true, Disk: true}, RightsFor(Capabilities()))
	require.Equal(t, injector.Rights{}, RightsFor(nil))
}
