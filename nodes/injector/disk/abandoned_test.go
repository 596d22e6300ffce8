//go:build linux

package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// asVictim, in the environment, makes this program PID 1 of a pid namespace that serves a disk over a backing directory,
// which it names, under a slow fsync, and is about to be killed: with "probe:" before it the program probes over
// and over; with "itself:" it syncs a file through its own mount, which nobody that serves must do.
const asVictim = "DISK_TEST_VICTIM"

func beVictim(role string) error {
	what, at, _ := strings.Cut(role, ":")
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	d, err := New(at, asClient)
	if err != nil {
		return err
	}
	if err := d.Mount(at); err != nil {
		return err
	}
	slow := 40 * time.Millisecond
	if what == "itself" {
		slow = time.Minute
	}
	if err := d.Set(faults.Disk{SlowSync: slow}); err != nil {
		return err
	}
	node := shellIn(at, "while echo x >>a; do sync a; done") // it waits in an fsync as well
	if err := node.Start(); err != nil {
		return err
	}
	if what == "itself" {
		f, err := os.Create(filepath.Join(at, "b"))
		if err != nil {
			return err
		}
		fmt.Println("ready")
		return f.Sync()
	}
	for first := true; ; first = false {
		if _, err := d.Probe(); err != nil {
			return err
		}
		if _, err := d.PowerLoss(0, faults.NamesJournaled); err != nil {
			return err
		}
		if first {
			fmt.Println("ready")
		}
	}
}

// startVictim starts one, and returns once it is ready. namespace is that of its processes.
func startVictim(t *testing.T, what string) (victim *exec.Cmd, namespace string) {
	t.Helper()
	needsFUSE(t)
	victim = exec.Command("/proc/self/exe")
	victim.Env = append(os.Environ(), asVictim+"="+what+":"+t.TempDir())
	victim.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, victim.Start())
	t.Cleanup(func() { // if the test failed before
		victim.Process.Kill()
		AbortAbandoned()
	})
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())
	namespace, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", victim.Process.Pid))
	require.NoError(t, err)
	return victim, namespace
}

// inhabitants are the processes of a pid namespace, each with its state. One whose namespaces are gone is as good as gone.
func inhabitants(t *testing.T, namespace string) (pids []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		in, err := os.Readlink("/proc/" + e.Name() + "/ns/pid")
		if err != nil || in != namespace {
			continue
		}
		status, _ := os.ReadFile("/proc/" + e.Name() + "/status")
		pids = append(pids, e.Name()+" "+statusField(status, "Name")+" "+statusField(status, "State"))
	}
	return pids
}

// Killed at any moment of a probe, the server and all of its pid namespace go at once, without anybody's help.
func TestAServerThatIsKilledWhileItProbesGoes(t *testing.T) {
	for i := range 10 {
		victim, namespace := startVictim(t, "probe")
		require.GreaterOrEqual(t, len(inhabitants(t, namespace)), 3, "the server, its client, the node")
		time.Sleep(time.Duration(i) * 11 * time.Millisecond) // over the moments of a probe and of a power loss
		require.NoError(t, victim.Process.Signal(unix.SIGKILL))
		gone := make(chan error, 1)
		go func() { gone <- victim.Wait() }()
		select {
		case err := <-gone:
			require.ErrorContains(t, err, "killed")
		case <-time.After(20 * time.Second):
			t.Fatalf("kill %d: still there: %v", i, inhabitants(t, namespace))
		}
		require.Empty(t, inhabitants(t, namespace))
	}
}

func TestAServerThatWaitsForItselfIsAborted(t *testing.T) {
	victim, namespace := startVictim(t, "itself")
	other := mountedDisk(t)
	_, err := AbortAbandoned()
	require.NoError(t, err)
	require.NotEmpty(t, inhabitants(t, namespace), "while it lives it is left alone")
	require.Eventually(t, func() bool { return inSyncSomewhere(t, victim.Process.Pid) }, 20*time.Second, 10*time.Millisecond)

	require.NoError(t, victim.Process.Signal(unix.SIGKILL))
	gone := make(chan error, 1)
	go func() { gone <- victim.Wait() }()
	select {
	case err := <-gone:
		t.Fatal("it went by itself, so nothing is shown: ", err)
	case <-time.After(time.Second):
	}
	aborted, err := AbortAbandoned()
	require.NoError(t, err)
	require.Len(t, aborted, 1)
	require.Equal(t, victim.Process.Pid, aborted[0].Server)
	select {
	case err := <-gone:
		require.ErrorContains(t, err, "killed")
	case <-time.After(20 * time.Second):
		t.Fatal("still there: ", inhabitants(t, namespace))
	}
	require.Empty(t, inhabitants(t, namespace))
	other.write(t, "a", "others are left alone")
	require.NoError(t, other.Close())
}

// inSyncSomewhere reports whether a thread of a process is in fsync.
func inSyncSomewhere(t *testing.T, pid int) bool {
	for _, thread := range threads(pid) {
		if text, err := os.ReadFile(thread + "/syscall"); err == nil && strings.HasPrefix(string(text), fmt.Sprintf("%d ", unix.SYS_FSYNC)) {
			return true
		}
	}
	return false
}
