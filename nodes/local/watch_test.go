//go:build linux

package local

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/pods/podstest"
)

const lossLimit = 20 * time.Second // on a machine that is busy; else it takes a second

// pidOfPod is the pid of a pod's PID 1 out here.
func pidOfPod(t *testing.T, c *cluster, node string) int {
	for _, name := range processesOf(t, c.files.dir) {
		line, err := os.ReadFile(filepath.Join("/proc", name, "cmdline"))
		if err != nil {
			continue // it has ended
		}
		args := strings.Split(string(line), "\x00")
		if slices.Contains(args, "pod") && strings.Contains(string(line), `"Name":"`+node+`"`) {
			pid, err := strconv.Atoi(name)
			require.NoError(t, err)
			return pid
		}
	}
	require.Fail(t, "no pod", node)
	return 0
}

// childOf is the pid of the only child of a process; any of its threads may have started it.
func childOf(t *testing.T, pid int) int {
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	require.NoError(t, err)
	var children []string
	for _, task := range tasks {
		of, err := os.ReadFile(task)
		require.NoError(t, err)
		children = append(children, strings.Fields(string(of))...)
	}
	require.Len(t, children, 1)
	child, err := strconv.Atoi(children[0])
	require.NoError(t, err)
	return child
}

func TestALostClusterIsNamed(t *testing.T) {
	for name, lose := range map[string]struct {
		pid  func(*cluster) int
		want string
	}{
		"pod":   {func(c *cluster) int { return pidOfPod(t, c, s2) }, "the pod of dc1-s2 has ended: not by Faultline: its stream has ended"},
		"space": {func(c *cluster) int { return c.host.cmd.Process.Pid }, "the process that all pods live in (signal: killed) has ended: not by Faultline"},
	} {
		t.Run(name, func(t *testing.T) {
			c := up(t, "lost-"+name)
			w := podstest.Watch(t, c)
			w.Require(t, s2, "started")
			require.NoError(t, syscall.Kill(lose.pid(c), syscall.SIGKILL))
			require.ErrorContains(t, w.Lost(t, lossLimit), lose.want)
			require.ErrorContains(t, podstest.Watch(t, c).Lost(t, lossLimit), lose.want, "also to who comes late")
			require.Equal(t, []string{"started"}, w.Of(s2), "how it ended nobody saw")
		})
	}
}

func TestANodeThatIsKilledFromOutsideIsNoLoss(t *testing.T) {
	c := up(t, "outside")
	w := podstest.Watch(t, c)
	podstest.Ask(t, c, s1)
	require.NoError(t, syscall.Kill(childOf(t, pidOfPod(t, c, s1)), syscall.SIGKILL))
	w.Require(t, s1, "started", "ended: SIGKILL")
	podstest.RequireConditions(t, c, faults.Conditions{})
	w.Require(t, s1, "started", "ended: SIGKILL", "started")
	w.Stop(t)
}
