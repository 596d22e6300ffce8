package podstest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// Pods whose PID 1 is killed while it probes a slow disk are gone at once, with all of their processes: none waits for a disk that
// nobody serves any more.
func testKilledPods(t *testing.T, s Subject) {
	const slowness = time.Second
	var syncing atomic.Int64
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			Need(t, s)
			want := spec(t, fmt.Sprint("killed-", round), "dc1-3")
			want.Needs = []faults.Capability{faults.ProcessOff, faults.DiskSync}
			c := start(t, s, want)
			var slow faults.Conditions
			slow.SetDisk([]string{S1, S2, S3}, faults.Disk{SlowSync: slowness})
			require.NoError(t, c.Set(t.Context(), slow))

			ctx, cancel := context.WithCancel(t.Context())
			var probing sync.WaitGroup
			probing.Go(func() {
				for ctx.Err() == nil {
					_, _ = c.Measure(ctx) // fails once the pods are gone
				}
			})
			defer probing.Wait()
			defer cancel()
			var pods []string
			var killing sync.WaitGroup
			for i, node := range []string{S1, S2, S3} {
				pod, kill := s.Pod(t, c, node)
				pods = append(pods, pod)
				killing.Go(func() {
					for began := time.Now(); inSync(pod) == 0 && time.Since(began) < 20*time.Second; {
						time.Sleep(5 * time.Millisecond)
					}
					time.Sleep(slowness * time.Duration(3*round+i) / 10) // anywhere in the fsync of a probe
					syncing.Add(int64(inSync(pod)))
					assert.NoError(t, kill())
				})
			}
			killing.Wait()
			for _, pod := range pods {
				require.Eventually(t, func() bool { return len(inhabitants(pod)) == 0 }, 30*time.Second, 10*time.Millisecond, "of pid namespace %s", pod)
			}
		})
	}
	t.Logf("%d of 9 pods were killed with a process in fsync", syncing.Load())
	require.GreaterOrEqual(t, syncing.Load(), int64(3), "the kills missed the probes, so nothing is shown")
}

// PIDNamespace names the pid namespace of a process of this machine.
func PIDNamespace(t testing.TB, pid int) string {
	t.Helper()
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	require.NoError(t, err)
	return name
}

// inhabitants are the directories in /proc of the processes of a pid namespace.
func inhabitants(namespace string) (dirs []string) {
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range all {
		if name, err := os.Readlink(dir + "/ns/pid"); err == nil && name == namespace {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// inSync is 1 if a thread of a pid namespace is in fsync (proc_pid_syscall(5)), else 0.
func inSync(namespace string) int {
	for _, dir := range inhabitants(namespace) {
		threads, _ := filepath.Glob(dir + "/task/*/syscall") // the pattern is good
		for _, thread := range threads {
			if text, err := os.ReadFile(thread); err == nil && strings.HasPrefix(string(text), fmt.Sprintf("%d ", unix.SYS_FSYNC)) {
				return 1
			}
		}
	}
	return 0
}
