package podstest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// cleaning is the file that Alone locks. Tests move TMPDIR, so it is told before any of them.
var cleaning = filepath.Join(os.TempDir(), fmt.Sprintf("faultline-tests-%d.lock", os.Geteuid()))

// Alone is for tests that leave something behind for a Clean of the whole machine, and call
// that: until such a test is over, those of other packages, which run at the same time, wait.
func Alone(t testing.TB) {
	t.Helper()
	lock, err := os.OpenFile(cleaning, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lock.Close()) }) // which gives it up
	for err = syscall.EINTR; err == syscall.EINTR; {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)
	}
	require.NoError(t, err)
}
