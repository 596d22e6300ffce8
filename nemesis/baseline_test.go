package nemesis

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

func TestVerifyMeasuresAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		after func(f *fake)
		want  string // in the error; empty if all is as before
	}{
		"as before":              {func(*fake) {}, ""},
		"a node ended":           {func(f *fake) { f.die("dc1-s3") }, "dc1-s3 has ended by itself"},
		"a fault is still there": {func(f *fake) { f.now.SetProcess([]string{"dc1-s1"}, faults.Paused) }, "dc1-s1 is paused, not running"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, "dc1-3"))
				path := filepath.Join(t.TempDir(), "h")
				log, err := history.Create(path)
				require.NoError(t, err)
				w := World{Topology: f.topology, Cluster: f, Conn: f.Conn, Leader: f.Leader, Log: log}
				_, err = Play(t.Context(), parse(t, "steps:\n  - {at: 1s, for: 1s, fault: kill, target: one}\n"), w)
				require.NoError(t, err)
				c.after(f)
				did := len(f.events)
				require.NoError(t, Verify(t.Context(), w))
				require.Len(t, f.events, did, "nothing is set")
				require.NoError(t, log.Close())
				require.ErrorContains(t, Verify(t.Context(), w), "closed")

				events, _, err := history.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, history.FBaselineEnd, events[len(events)-1].F)
				require.Equal(t, history.FBaseline, events[len(events)-3].F)
				_, last, err := history.Faults(events)
				require.NoError(t, err)
				require.Equal(t, c.want == "", last.Verified)
				require.Contains(t, last.Error, c.want)
				require.Equal(t, "at the end healthy: 6 links open, 3 nodes running", last.Asked)
			})
		})
	}
}

// A node that ends over its disk does what it may, and the record says so.
func TestANodeThatEndsOverItsDiskIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		f.obey = func(want faults.Conditions) faults.Conditions {
			if want = want.Clone(); want.Disks["dc1-s1"].EndsNodes() {
				want.SetProcess([]string{"dc1-s1"}, faults.Killed)
			}
			return want
		}
		p := play(t, t.Context(), f, parse(t, "steps:\n  - {at: 1s, for: 1s, fault: disk, target: one, failing-fsync: true}\n"))
		require.True(t, p.faults[0].Verified && p.faults[0].HealVerified && p.baseline.Verified, "%+v", p.faults[0])
		require.Contains(t, p.faults[0].Measured, "dc1-s1 has ended by itself")
		require.NotContains(t, p.faults[0].HealMeasured, "ended")
	})
}

// A node that ends over its disk in the moment of the heal was let to, and is started by setting the heal once more.
func TestANodeThatEndsInTheMomentOfTheHealIsStarted(t *testing.T) {
	for heals, verified := range map[int]bool{1: true, 9: false} { // how often it ends again
		synctest.Test(t, func(t *testing.T) {
			f := newFake(layout(t, "dc1-3"))
			failed, ends := false, 0
			f.obey = func(want faults.Conditions) faults.Conditions {
				want = want.Clone()
				failed = failed || want.Disks["dc1-s1"].EndsNodes()
				if ends < heals && failed && !want.Disks["dc1-s1"].EndsNodes() {
					ends++
					want.SetProcess([]string{"dc1-s1"}, faults.Killed)
				}
				return want
			}
			p := play(t, t.Context(), f, parse(t, "steps:\n  - {at: 1s, for: 1s, fault: disk, target: one, failing-fsync: true}\n"))
			require.Equal(t, verified, p.faults[0].HealVerified, "%+v", p.faults[0])
		})
	}
}
