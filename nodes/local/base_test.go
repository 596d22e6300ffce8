//go:build linux

package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/pods"
)

func TestABaseThatOthersCanWriteToIsRefused(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for range 2 {
		b, err := makeBase()
		require.NoError(t, err)
		b.close()
	}
	require.NoError(t, os.Chmod(base(), 0o777))
	_, err := makeBase()
	require.ErrorContains(t, err, "only this user can write to")
	require.NoError(t, os.Remove(base()))
	require.NoError(t, os.Symlink(t.TempDir(), base()))
	_, err = makeBase()
	require.ErrorContains(t, err, "only this user can write to")
	_, err = New().Clean(t.Context())
	require.ErrorContains(t, err, "only this user can write to")
}

// Somebody who may write to the folder around the base puts a link in its place, again and
// again, while a clean is at work: it must never be led to what the link leads to.
func TestCleanIsNotLedAwayByALink(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	victim := t.TempDir()
	precious := filepath.Join(victim, "home", "precious")
	require.NoError(t, os.MkdirAll(filepath.Dir(precious), 0o700))
	require.NoError(t, os.WriteFile(precious, nil, 0o600))
	aside := base() + ".aside"
	require.NoError(t, os.Symlink(victim, base()+".link"))

	var over atomic.Bool
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for !over.Load() { // the names change places, without a moment in between
			unix.Renameat2(unix.AT_FDCWD, base(), unix.AT_FDCWD, base()+".link", unix.RENAME_EXCHANGE)
		}
	})
	cleaned := 0
	for range 300 {
		if os.Mkdir(aside, 0o700) == nil {
			os.Mkdir(filepath.Join(aside, "nobody"), 0o700)
			os.Rename(aside, base()) // fails while a link is there
		}
		os.RemoveAll(aside)
		if c, err := New().Clean(t.Context()); err == nil && len(c.Removed) > 0 {
			cleaned++
		}
		require.FileExists(t, precious)
	}
	over.Store(true)
	swapper.Wait()
	require.Positive(t, cleaned, "it never came so far as to remove anything")
	require.FileExists(t, precious)
}

func TestALinkInTheBaseIsRemovedAndNotFollowed(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	victim := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(victim, "precious"), nil, 0o600))
	require.NoError(t, os.Mkdir(base(), 0o700))
	require.NoError(t, os.Symlink(victim, filepath.Join(base(), "run@1.1.another-boot")))
	require.NoError(t, os.MkdirAll(filepath.Join(base(), "deep@1.1.another-boot", "data"), 0o700))
	require.NoError(t, os.Symlink(victim, filepath.Join(base(), "deep@1.1.another-boot", "data", "link")))
	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Len(t, cleaned.Removed, 2)
	require.FileExists(t, filepath.Join(victim, "precious"))
	require.NoDirExists(t, base())
}

// claimer, in the environment, makes this program claim a directory and hold it.
const claimer = "LOCAL_TEST_CLAIMER"

func beClaimer() error {
	c, err := makeDir("elsewhere")
	if err != nil {
		return err
	}
	println(c.dir())
	time.Sleep(time.Minute)
	return nil
}

// A harness in another pid namespace, where its pid is another process or none, keeps what is
// its own as long as it lives.
func TestCleanSparesRunsOfOtherPidNamespaces(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	living := exec.Command("/proc/self/exe")
	living.Env = append(os.Environ(), claimer+"=yes")
	living.Stderr = os.Stderr
	living.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		living.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		living.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
	}
	if err := living.Start(); err != nil && os.Getenv(subject.Require) != "1" {
		t.Skip("needs a pid namespace: ", err)
	} else {
		require.NoError(t, err)
	}
	t.Cleanup(func() { living.Process.Kill() }) // if the test failed before
	var dirs []string
	require.Eventually(t, func() bool {
		dirs, _ = filepath.Glob(filepath.Join(base(), "elsewhere@*"))
		if len(dirs) != 1 {
			return false
		}
		b, err := openBase()
		if err != nil {
			return false
		}
		defer b.close()
		return b.locked(filepath.Base(dirs[0]))
	}, 20*time.Second, 5*time.Millisecond)
	cleaned, err := New().Clean(t.Context())
	require.NoError(t, err)
	require.Empty(t, cleaned.Removed)
	require.DirExists(t, dirs[0])

	require.NoError(t, living.Process.Kill())
	require.Error(t, living.Wait())
	cleaned, err = New().Clean(t.Context())
	require.NoError(t, err)
	require.Len(t, cleaned.Removed, 1)
}

func TestAClaimIsMadeAndGivenUpWhileOthersAre(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var work sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		work.Go(func() {
			for range 100 {
				c, err := makeDir("run" + string(rune('a'+i)))
				if err == nil {
					_, err = clean(context.Background())
				}
				if err == nil {
					_, err = os.Stat(c.dir()) // a clean of any of them spares it
				}
				if err == nil {
					err = c.remove(context.Background())
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	work.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.NoDirExists(t, base())
	me, err := pods.Self(os.DirFS("/proc"))
	require.NoError(t, err)
	require.Contains(t, claim{name: "x" + ownerMark + me.String()}.dir(), base())
}
