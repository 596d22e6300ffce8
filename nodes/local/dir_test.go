//go:build linux

package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/pods/podstest"
)

// Runs side by side write their binaries and execute them, in user namespaces of their own.
func TestWhatIsWrittenBesideOtherRunsCanBeExecuted(t *testing.T) {
	podstest.Need(t, subject)
	path, err := exec.LookPath("true")
	require.NoError(t, err)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	dir := t.TempDir()
	errs := make([]error, 8)
	var runs sync.WaitGroup
	for i := range errs {
		runs.Go(func() {
			for n := range 60 {
				name := filepath.Join(dir, fmt.Sprintf("%d-%d", i, n))
				if errs[i] = writeExecutable(name, content); errs[i] != nil {
					return
				}
				cmd := exec.Command(name)
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
				if errs[i] = cmd.Run(); errs[i] != nil {
					return
				}
			}
		})
	}
	runs.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}
