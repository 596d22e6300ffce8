//go:build linux

package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/local/space"
	"faultline/nodes/pods"
	"faultline/nodes/pods/podstest"
	"faultline/workloads/history"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestWhoCountsProcessesEndedForWantOfMemory(t *testing.T) {
	vmstat := file("nr_free_pages 7\noom_kill 3\noom_kill_other 9\n")
	events := file("low 0\noom 8\noom_kill 5\noom_group_kill 0\n")
	for name, c := range map[string]struct {
		root  fstest.MapFS
		kills uint64
		known bool
	}{
		"the own cgroup": {fstest.MapFS{"proc/self/cgroup": file("0::/user/me\n"), "sys/fs/cgroup/user/me/memory.events": events, "proc/vmstat": vmstat}, 5, true},
		"a root cgroup":  {fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/cgroup.procs": file(""), "proc/vmstat": vmstat}, 3, true},
		"cgroup v1":      {fstest.MapFS{"proc/self/cgroup": file("4:memory:/x\n0::/\n"), "proc/vmstat": vmstat}, 3, true},
		"out of reach":   {fstest.MapFS{"proc/self/cgroup": file("0::/../../x\n"), "proc/vmstat": vmstat}, 3, true},
		"nobody":         {fstest.MapFS{"proc/vmstat": file("nr_free_pages 7\n")}, 0, false},
	} {
		kills, known := newOOMKills(c.root).count()
		require.Equal(t, c.known, known, name)
		require.Equal(t, c.kills, kills, name)
	}
}

func TestASIGKILLWhileTheCountRoseIsWantOfMemory(t *testing.T) {
	root := fstest.MapFS{"proc/vmstat": file("oom_kill 3\n")}
	c := &cluster{lives: pods.NewLives(), oom: newOOMKills(root)}
	record := c.recorder(s1)
	w := podstest.Collect(t, c.lives.Watch)
	live := func(count string, end space.Event) {
		record(space.Event{Kind: space.Started})
		root["proc/vmstat"] = file("oom_kill " + count + "\n")
		end.Kind = space.Ended
		record(end)
	}
	live("4", space.Event{Signal: "SIGKILL"})
	live("4", space.Event{Signal: "SIGKILL"})
	live("5", space.Event{Signal: "SIGTERM"})
	live("6", space.Event{Code: 2})
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)", "started", "ended: SIGKILL", "started", "ended: SIGTERM", "started", "ended: exit code 2")

	c = &cluster{lives: pods.NewLives()}
	record = c.recorder(s1)
	record(space.Event{Kind: space.Started})
	record(space.Event{Kind: space.Ended, Signal: "SIGKILL"})
	w = podstest.Collect(t, c.lives.Watch)
	w.Require(t, s1, "started", "ended: SIGKILL")
	require.Equal(t, history.ProcessStarted, w.Stop(t)[0].Kind)
}

// limitMemory puts a process into a cgroup of its own, with so much memory; that of cgroup v2 takes
// that nobody is in the cgroup above.
func limitMemory(t *testing.T, pid, limit int) {
	own, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(own), ":memory:")
	parent, _, _ := strings.Cut(rest, "\n")
	dir := filepath.Join("/sys/fs/cgroup/memory", parent, fmt.Sprintf("faultline-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("needs a memory cgroup of version 1, and root: ", err)
	}
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return syscall.Rmdir(dir) == nil }, lossLimit, 10*time.Millisecond, "processes that end are still in it")
	})
	write := func(file string, value int) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(value)), 0o644))
	}
	write("memory.limit_in_bytes", limit)
	write("cgroup.procs", pid)
}

func TestANodeThatWantsTooMuchMemory(t *testing.T) {
	c := up(t, "memory")
	w := podstest.Watch(t, c)
	podstest.Ask(t, c, s1)
	limitMemory(t, childOf(t, pidOfPod(t, c, s1)), 64<<20)
	podstest.Tell(t, c, s1, "/hog")
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)")
	podstest.RequireConditions(t, c, faults.Conditions{})
	var killed faults.Conditions
	killed.SetProcess([]string{s1}, faults.Killed)
	podstest.RequireConditions(t, c, killed)
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)", "started", "ended: SIGKILL")
}
