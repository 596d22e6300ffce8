//go:build linux

package local

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/pods/podstest"
	"faultline/topologies"
)

// harness, in the environment, makes this program start a cluster, break it, print its
// directory, and wait for its end. The value is the node's binary.
const harness = "LOCAL_TEST_HARNESS"

func beHarness(program string) error {
	ctx := context.Background()
	topology, err := topologies.Load("dc1-3")
	if err != nil {
		return err
	}
	var broken faults.Conditions // in six ways
	broken.Cut([]string{s1}, []string{s2, s3}, faults.Link{Drop: true})
	broken.Cut([]string{s2}, []string{s3}, faults.Link{Delay: 10 * time.Millisecond})
	broken.SetProcess([]string{s1}, faults.Paused)
	broken.SetProcess([]string{s2}, faults.PoweredOff)
	broken.SetClock([]string{s1, s3}, faults.Clock{Offset: time.Hour})
	broken.SetDisk([]string{s3}, faults.Disk{SlowSync: 10 * time.Millisecond})
	started, err := New().Start(ctx, nodes.Spec{Run: "abandoned", Topology: topology,
		System: podstest.System{Program: program}, Needs: broken.Needs()})
	if err != nil {
		return err
	}
	if err := started.Set(ctx, broken); err != nil {
		return err
	}
	fmt.Println(started.(*cluster).files.dir)
	select {}
}

func TestAKilledHarnessLeavesADirectoryForClean(t *testing.T) {
	alive := up(t, "alive")
	image, err := podstest.System{}.Image(t.Context())
	require.NoError(t, err)
	dying := exec.Command("/proc/self/exe")
	dying.Env = append(os.Environ(), harness+"="+image.Program)
	dying.Stderr = os.Stderr
	out, err := dying.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, dying.Start())
	t.Cleanup(func() { dying.Process.Kill() }) // if the test failed before
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	dir := strings.TrimSpace(line)
	require.DirExists(t, dir)
	require.Len(t, processesOf(t, dir), 1+3, "the cluster's PID 1 and the pods'")

	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, cleaned.Removed, "both harnesses live")

	require.NoError(t, dying.Process.Kill())
	require.Error(t, dying.Wait())
	require.Eventually(t, func() bool { return len(processesOf(t, dir)) == 0 }, 20*time.Second, 5*time.Millisecond)
	cleaned, err = New().Clean(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"directory " + dir + " (run abandoned)"}, cleaned.Removed)
	require.Empty(t, leftovers(t, "abandoned"))
	podstest.RequireConditions(t, alive, faults.Conditions{})
}

func TestCleanOnAMachineWithoutRuns(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, cleaned)
}

func TestCleanRemovesDirectoriesOfOtherBootsAndOfNobody(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, name := range []string{"old@1.1.another-boot", "nobody"} {
		require.NoError(t, os.MkdirAll(filepath.Join(base(), name, "data"), 0o700))
	}
	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Len(t, cleaned.Removed, 2)
	require.NoDirExists(t, base())
}
