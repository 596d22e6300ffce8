//go:build linux

package local

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

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
