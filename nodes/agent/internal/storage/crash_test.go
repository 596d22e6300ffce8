package storage

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/storage/fakedisk"
)

// smallSegment makes a test's few entries fill several segments.
const smallSegment = 200

// story is a life of a log that meets every kind of change: batches over several segments,
// a conflict cut off, compaction that removes segments, a gap after a snapshot, votes.
var story = []struct {
	name string
	do   func(*Log) error
}{
	{"term", func(l *Log) error { return l.SetUint64([]byte("term"), 1) }},
	{"1-3", func(l *Log) error { return l.StoreLogs(entries(1, 3, "a")) }},
	{"4", func(l *Log) error { return l.StoreLog(entry(4, "a4")) }},
	{"5-9", func(l *Log) error { return l.StoreLogs(entries(5, 9, "a")) }},
	{"vote", func(l *Log) error { return l.Set([]byte("vote"), []byte("s2")) }},
	{"cut 8-9", func(l *Log) error { return l.DeleteRange(8, 9) }},
	{"8-9 again", func(l *Log) error { return l.StoreLogs(entries(8, 9, "b")) }},
	{"cut 4-9", func(l *Log) error { return l.DeleteRange(4, 9) }},
	{"4-12", func(l *Log) error { return l.StoreLogs(entries(4, 12, "c")) }},
	{"compact 1-10", func(l *Log) error { return l.DeleteRange(1, 10) }},
	{"vote again", func(l *Log) error { return l.Set([]byte("vote"), []byte("s3")) }},
	{"gap", func(l *Log) error { return l.StoreLogs(entries(20, 22, "d")) }},
	{"drop all", func(l *Log) error { return l.DeleteRange(1, 22) }},
	{"lower again", func(l *Log) error { return l.StoreLogs(entries(15, 16, "e")) }},
}

// statesOfStory are the dumps after each step, the empty log first.
func statesOfStory(t *testing.T) []string {
	l, err := openLog(fakedisk.New(), "raft/log", smallSegment)
	require.NoError(t, err)
	states := []string{dump(t, l)}
	for _, step := range story {
		require.NoError(t, step.do(l), step.name)
		states = append(states, dump(t, l))
	}
	require.NoError(t, l.Close())
	return states
}

// live opens the log and plays the story from a step on; it returns how many steps of the
// whole story were acknowledged when the disk crashed.
func live(d *fakedisk.Disk, from int) (acknowledged int) {
	l, err := openLog(d, "raft/log", smallSegment)
	if err != nil {
		return from
	}
	defer l.Close()
	for i := from; i < len(story); i++ {
		if err := story[i].do(l); err != nil {
			return i
		}
	}
	return len(story)
}

// ends are the ways for a disk to come back after a crash.
func ends() map[string]func(*fakedisk.Disk) *fakedisk.Disk {
	out := map[string]func(*fakedisk.Disk) *fakedisk.Disk{
		"kill": (*fakedisk.Disk).Kill,
	}
	for name, fate := range fakedisk.Fates {
		out["power loss, of which survives "+name] = func(d *fakedisk.Disk) *fakedisk.Disk { return d.PowerLoss(fate) }
	}
	return out
}

// TestCrashAtEveryPoint crashes the disk at every change it is asked for, brings it back in
// every way, and demands that the log holds what was acknowledged, or that and all of
// the step that was under way.
func TestCrashAtEveryPoint(t *testing.T) {
	states := statesOfStory(t)
	for name, end := range ends() {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				d := fakedisk.New()
				d.CrashAt(at)
				steps := live(d, 0)
				if steps == len(story) {
					require.Greater(t, at, 60, "the story must make many changes")
					return
				}
				l, err := openLog(end(d), "raft/log", smallSegment)
				require.NoError(t, err, "crash at change %d, in step %s", at, story[steps].name)
				require.Contains(t, states[steps:steps+2], dump(t, l), "crash at change %d, in step %s", at, story[steps].name)
				require.NoError(t, l.Close())
			}
		})
	}
}

// TestCrashOfTheRecovery kills the process at every change, then takes the power away at
// every change of the recovery and of what follows, and demands the same. What a killed
// process has written but not synced was never acknowledged; but once an Open has shown it,
// it must not vanish.
func TestCrashOfTheRecovery(t *testing.T) {
	states := statesOfStory(t)
	for at := 1; ; at++ {
		build := func() (*fakedisk.Disk, int) {
			d := fakedisk.New()
			d.CrashAt(at)
			steps := live(d, 0)
			return d.Kill(), steps
		}
		d, steps := build()
		if steps == len(story) {
			return
		}
		l, err := openLog(d, "raft/log", smallSegment)
		require.NoError(t, err)
		seen := slices.Index(states[steps:], dump(t, l)) + steps
		require.NoError(t, l.Close())
		for second := 1; ; second++ {
			d, _ := build()
			d.CrashAt(second)
			again := live(d, seen)
			if again == len(story) {
				break
			}
			l, err := openLog(d.PowerLoss(fakedisk.Fates["nothing"]), "raft/log", smallSegment)
			require.NoError(t, err, "crash at %d, power loss at %d", at, second)
			want := states[min(again, steps) : again+2]
			if again > seen { // the recovery had ended, and what it saw was shown
				want = states[again : again+2]
			}
			require.Contains(t, want, dump(t, l), "crash at %d, power loss at %d", at, second)
			require.NoError(t, l.Close())
		}
	}
}

// TestWhatOpenShowsIsDurable kills the process at every change, opens the log, and takes the
// power away at once.
func TestWhatOpenShowsIsDurable(t *testing.T) {
	for at := 1; ; at++ {
		d := fakedisk.New()
		d.CrashAt(at)
		done := live(d, 0) == len(story)
		d = d.Kill()
		l, err := openLog(d, "raft/log", smallSegment)
		require.NoError(t, err)
		shown := dump(t, l)
		l, err = openLog(d.PowerLoss(fakedisk.Fates["nothing"]), "raft/log", smallSegment)
		require.NoError(t, err)
		require.Equal(t, shown, dump(t, l), "crash at %d", at)
		if done {
			return
		}
	}
}

// TestAFailedChangePoisonsTheLog fails every single change of the story once, without a
// crash, and demands that the log takes no other one, and that what a restart shows
// survives a loss of power.
func TestAFailedChangePoisonsTheLog(t *testing.T) {
	states := statesOfStory(t)
	for at := 1; ; at++ {
		d := fakedisk.New()
		d.Before(func(o fakedisk.Op) error {
			if o.Number == at {
				return fmt.Errorf("input/output error at %s %s", o.Kind, o.Name)
			}
			return nil
		})
		l, err := openLog(d, "raft/log", smallSegment)
		if err != nil {
			continue // the failure was in opening
		}
		steps := 0
		for steps < len(story) && err == nil {
			if err = story[steps].do(l); err == nil {
				steps++
			}
		}
		if steps == len(story) {
			return
		}
		still := dump(t, l)
		require.Contains(t, states[steps:steps+2], still)
		require.ErrorContains(t, l.StoreLog(entry(1000, "")), "takes no changes since one has failed")
		require.Error(t, l.Set([]byte("term"), nil))
		require.Error(t, l.DeleteRange(1, 1000))

		l, err = openLog(d.Kill().PowerLoss(fakedisk.Fates["nothing"]), "raft/log", smallSegment)
		require.NoError(t, err)
		require.Equal(t, still, dump(t, l), "what is not durable is not shown")

		d = d.Kill()
		l, err = openLog(d, "raft/log", smallSegment)
		require.NoError(t, err)
		shown := dump(t, l)
		require.Contains(t, states[steps:steps+2], shown)
		l, err = openLog(d.PowerLoss(fakedisk.Fates["nothing"]), "raft/log", smallSegment)
		require.NoError(t, err)
		require.Equal(t, shown, dump(t, l), "failure at %d", at)
	}
}

// TestSnapshotCrashAtEveryPoint does the same for snapshots: the newest one is the last
// whose Close returned, or the one that was under way, and it is whole.
func TestSnapshotCrashAtEveryPoint(t *testing.T) {
	state := func(i uint64) string { return strings.Repeat(fmt.Sprintf("state %d ", i), 20) }
	for name, end := range ends() {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				d := fakedisk.New()
				d.CrashAt(at)
				var published uint64
				if s, err := OpenSnapshots(d, "raft/snapshots", 2); err == nil {
					for i := uint64(1); i <= 4; i++ {
						if writeSnapshot(s, i, state(i)) != nil {
							break
						}
						published = i
					}
				}
				s, err := OpenSnapshots(end(d), "raft/snapshots", 2)
				require.NoError(t, err)
				list, err := s.List()
				require.NoError(t, err)
				var newest uint64
				if len(list) > 0 {
					newest = list[0].Index
				}
				require.Contains(t, []uint64{published, published + 1}, newest, "crash at change %d", at)
				for _, meta := range list {
					_, r, err := s.Open(meta.ID)
					require.NoError(t, err)
					b, err := io.ReadAll(r)
					require.NoError(t, err)
					require.Equal(t, state(meta.Index), string(b))
					require.NoError(t, r.Close())
				}
				if published == 4 {
					return
				}
			}
		})
	}
}

func writeSnapshot(s *Snapshots, index uint64, state string) error {
	w, err := s.Create(1, index, 1, raft.Configuration{Servers: []raft.Server{{ID: "s1", Address: "a:1"}}}, 1, nil)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, state); err != nil {
		return err
	}
	return w.Close()
}
