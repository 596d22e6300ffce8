package podstest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes"
)

// Pods whose PID 1 is killed while it probes a slow disk are gone at once, with all of their processes: none waits for a disk that
// nobody serves any more.
func testKilledPods(t *testing.T, s Subject) {
	syncing, kills := 0, 0
	for round := range 3 {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			Need(t, s)
			want := spec(t, fmt.Sprint("killed-", round), "dc1-3")
			want.Needs = []nodes.Capability{nodes.ProcessOff, nodes.DiskSync}
			c := start(t, s, want)
			var slow nodes.Conditions
			slow.SetDisk([]string{S1, S2, S3}, nodes.DiskState{SlowSync: 300 * time.Millisecond})
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
			time.Sleep(time.Duration(500+110*round) * time.Millisecond) // anywhere in a probe

			var pods []string
			for _, node := range []string{S1, S2, S3} {
				pod, kill := s.Pod(t, c, node)
				syncing += inSync(pod)
				kill()
				kills++
				pods = append(pods, pod)
			}
			for _, pod := range pods {
				require.Eventually(t, func() bool { return len(inhabitants(pod)) == 0 }, 30*time.Second, 10*time.Millisecond, "of pid namespace %s", pod)
			}
		})
	}
	t.Logf("%d of %d pods were killed with a process in fsync", syncing, kills)
	require.GreaterOrEqual(t, syncing, kills/3, "the kills missed the probes, so nothing is shown")
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
