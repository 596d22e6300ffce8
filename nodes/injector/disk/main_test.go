//go:build linux

package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// asClient makes this program a client of the disk that starts it.
var asClient = []string{"disk.test", "client"}

const requireLocal = "FAULTLINE_REQUIRE_LOCAL"

// needsFUSE skips where a file system cannot be mounted, unless it has to be possible.
func needsFUSE(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		lacking(t, "this test mounts as root")
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		lacking(t, "/dev/fuse: "+err.Error())
	}
	require.NoError(t, unix.Close(fd))
}

// lacking ends a test for what this machine lacks.
func lacking(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(requireLocal) == "1" {
		t.Fatalf("%s=1, but: %s", requireLocal, why)
	}
	t.Skip(why)
}

// mounted is a disk and where it is mounted.
type mounted struct {
	*Disk
	at, backing string
}

func (m mounted) path(name string) string { return filepath.Join(m.at, name) }

func mountedDisk(t testing.TB) mounted {
	t.Helper()
	needsFUSE(t)
	m := mounted{backing: t.TempDir(), at: t.TempDir()}
	var err error
	m.Disk, err = New(m.backing, asClient)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.NoError(t, m.Mount(m.at))
	return m
}

// python runs a program of another language on the disk.
func python(t testing.TB, program string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil && os.Getenv(requireLocal) != "1" {
		t.Skip("python3 is not here: ", err)
	}
	require.NoError(t, err)
	out, err := exec.Command(path, append([]string{"-c", program}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
}

func (m mounted) write(t testing.TB, name, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(m.path(name), []byte(content), 0o644))
}

func (m mounted) sync(t testing.TB, name string) {
	t.Helper()
	f, err := os.Open(m.path(name))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Sync())
}

func (m mounted) lose(t testing.TB) Loss {
	t.Helper()
	loss, err := m.PowerLoss(0, faults.NamesJournaled)
	require.NoError(t, err)
	require.Equal(t, Canary{Synced: true, Named: true, Lost: true}, loss.Canary)
	return loss
}

func (m mounted) content(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(m.path(name))
	require.NoError(t, err)
	return string(text)
}
