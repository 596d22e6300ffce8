//go:build linux

package disk

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// asServer, in the environment, makes this program serve a disk over its own backing directory,
// which it names, and run a shell command on it, as PID 1 of a rootless pod does.
const asServer = "DISK_TEST_SERVE"

func TestMain(m *testing.M) {
	if slices.Equal(os.Args[1:], asClient[1:]) {
		if err := Client(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if role := os.Getenv(asVictim); role != "" {
		fmt.Fprintln(os.Stderr, "victim:", beVictim(role))
		os.Exit(1)
	}
	if at := os.Getenv(asServer); at != "" {
		if err := serveHere(at); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func serveHere(at string) error {
	d, err := New(at, asClient)
	if err != nil {
		return err
	}
	if err := d.Mount(at); err != nil {
		return err
	}
	cmd := exec.Command("sh", "-ec", "cd "+at+"; echo kept >a; sync a .; echo lost >>a; echo lost >b; ls")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	loss, err := d.PowerLoss(0, faults.NamesJournaled)
	if err != nil {
		return err
	}
	fmt.Printf("%s%+v\n", out, loss.Canary)
	return d.Close()
}

// On a system of systemd's everybody may open /dev/fuse (50-udev-default.rules).
func TestRootless(t *testing.T) {
	needsFUSE(t)
	info, err := os.Stat("/dev/fuse")
	require.NoError(t, err)
	if info.Mode().Perm()&0o006 != 0o006 {
		lacking(t, "/dev/fuse is not open to plain users: "+info.Mode().String())
	}
	backing := t.TempDir()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asServer+"="+backing)
	uid := 65534
	require.NoError(t, os.Chown(backing, uid, uid))
	for dir := backing; dir != "/tmp" && dir != "/"; dir = dir[:strings.LastIndex(dir, "/")] {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 0, Gid: 0},
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "a\nb\n{Failed: Synced:true Named:true Lost:true}\n", string(out))
	text, err := os.ReadFile(backing + "/a")
	require.NoError(t, err)
	require.Equal(t, "kept\n", string(text))
	require.NoFileExists(t, backing+"/b")
}

func TestAttachInOtherMountNamespaces(t *testing.T) {
	needsFUSE(t)
	backing := t.TempDir()
	d, err := New(backing, asClient)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	for i := range 3 { // each start of a node is a new namespace
		cmd := exec.Command("sh", "-ec", "echo ready; read go; cd "+backing+"; cat last 2>/dev/null || true; echo "+fmt.Sprint(i)+" >last; sync last .; echo x >lost; ls -A")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { cmd.Process.Kill() })
		out := bufio.NewScanner(pipe)
		require.True(t, out.Scan())
		namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", cmd.Process.Pid))
		require.NoError(t, err)
		require.NoError(t, d.Attach(int(namespace.Fd()), backing))
		require.NoError(t, namespace.Close())
		fmt.Fprintln(in, "go")
		var lines []string
		for out.Scan() {
			lines = append(lines, out.Text())
		}
		require.NoError(t, cmd.Wait())
		want := []string{"last", "lost"}
		if i > 0 {
			want = append([]string{fmt.Sprint(i - 1)}, want...)
		}
		require.Equal(t, want, lines)
		_, left := d.Unsynced()
		require.NotZero(t, left, "the shell wrote to the mount, not below it")
		loss, err := d.PowerLoss(0, faults.NamesJournaled)
		require.NoError(t, err)
		require.Equal(t, Canary{Synced: true, Named: true, Lost: true}, loss.Canary)
		require.NoFileExists(t, backing+"/lost")
	}
}
