package faultline

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/checker"
)

// The store of a run lies on a disk whose n-th call fails. It is a FUSE file system, which a
// process of its own serves: whoever is client and server at once may wait for itself
// forever. Both are in a mount namespace that goes with the test.

// Of which part of the test a process is, and where the disk is.
const (
	envDiskTest   = "FAULTLINE_SELF_DISK_TEST"
	envDiskServer = "FAULTLINE_SELF_DISK_SERVER"
)

func TestADiskThatFailsIsToldAsThat(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || unix.Access("/dev/fuse", unix.R_OK|unix.W_OK) != nil {
		t.Skip("needs root and /dev/fuse")
	}
	inside := exec.Command(os.Args[0], "-test.run=^TestOnADiskThatFails$", "-test.v")
	inside.Env = append(os.Environ(), envDiskTest+"="+t.TempDir())
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := inside.CombinedOutput()
	t.Log(string(out))
	require.NoError(t, err)
	require.Contains(t, string(out), "--- PASS: TestOnADiskThatFails", "it was tried")
}

// TestOnADiskThatFails is what the test above runs.
func TestOnADiskThatFails(t *testing.T) {
	dir := os.Getenv(envDiskTest)
	if dir == "" {
		t.Skip("of TestADiskThatFailsIsToldAsThat")
	}
	require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	disk := serveDisk(t, dir)
	seed := uint64(time.Now().Unix() / 86400)
	random := rand.New(rand.NewPCG(seed, 1))
	disk.arm(t, 0, 0, false)
	whole := try(t, newTrap("", "", 0), filepath.Join(disk.dir, "whole"))
	require.NoError(t, whole.err)
	require.Equal(t, checker.Valid, whole.outcome.Verdict, whole.why())
	calls := disk.arm(t, 0, 0, false)
	require.Greater(t, calls, 50)
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		for _, stays := range []bool{false, true} {
			for _, n := range someOf(random, calls, 3) {
				t.Run(fmt.Sprintf("call %d of %d fails with %v, and stays so: %v", n, calls, errno, stays), func(t *testing.T) {
					disk.arm(t, n, errno, stays)
					r := try(t, newTrap("", "", 0), filepath.Join(disk.dir, fmt.Sprintf("store-%d-%v-%v", n, int(errno), stays)))
					made := disk.arm(t, 0, 0, false)
					if made < n {
						t.Skip("this run had fewer calls")
					}
					t.Logf("%v after %v: %s (%v)", r.outcome.Verdict, r.took, r.why(), r.err)
					require.Error(t, r.err)
					require.NotErrorIs(t, r.err, ErrInterrupted)
					require.False(t, r.left)
					require.Less(t, r.took, endsWithin)
					if errors.As(r.err, new(*UsageError)) {
						require.Zero(t, r.memory.started, "only what fails before the start is the user's business")
					}
					said := map[syscall.Errno]string{syscall.ENOSPC: "full, make room there", syscall.EIO: "input/output error"}
					require.Contains(t, r.err.Error(), said[errno])
					require.Contains(t, r.err.Error(), disk.dir, "it names the place")
				})
			}
		}
	}
}

// servedDisk is a disk that another process serves.
type servedDisk struct {
	dir     string
	command io.Writer
	answers *bufio.Scanner
}

func serveDisk(t *testing.T, dir string) *servedDisk {
	t.Helper()
	server := exec.Command(os.Args[0], "-test.run=^TestServeADiskThatFails$")
	server.Env = append(os.Environ(), envDiskServer+"="+dir)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	theirs, command, err := os.Pipe()
	require.NoError(t, err)
	answers, answer, err := os.Pipe()
	require.NoError(t, err)
	server.ExtraFiles = []*os.File{theirs, answer}
	server.Stdout, server.Stderr = os.Stderr, os.Stderr
	require.NoError(t, server.Start())
	require.NoError(t, errors.Join(theirs.Close(), answer.Close()))
	t.Cleanup(func() {
		require.NoError(t, command.Close())
		require.NoError(t, server.Wait())
	})
	d := &servedDisk{dir: filepath.Join(dir, "mounted"), command: command, answers: bufio.NewScanner(answers)}
	d.arm(t, 0, 0, false) // it stands
	return d
}

// arm makes the n-th call from now on fail, and all that follow if that stays so; none if n is
// 0. It tells how many calls there were since the last arm.
func (d *servedDisk) arm(t *testing.T, n int, errno syscall.Errno, stays bool) (calls int) {
	t.Helper()
	_, err := fmt.Fprintln(d.command, n, int(errno), stays)
	require.NoError(t, err)
	require.True(t, d.answers.Scan(), "the disk's server has ended")
	_, err = fmt.Sscan(d.answers.Text(), &calls)
	require.NoError(t, err)
	return calls
}

// TestServeADiskThatFails is the server.
func TestServeADiskThatFails(t *testing.T) {
	dir := os.Getenv(envDiskServer)
	if dir == "" {
		t.Skip("of TestADiskThatFailsIsToldAsThat")
	}
	below, mounted := filepath.Join(dir, "below"), filepath.Join(dir, "mounted")
	require.NoError(t, errors.Join(os.Mkdir(below, 0o755), os.Mkdir(mounted, 0o755)))
	var st syscall.Stat_t
	require.NoError(t, syscall.Stat(below, &st))
	d := &failingDisk{}
	root := &fs.LoopbackRoot{Path: below, Dev: uint64(st.Dev)}
	node := &failingNode{&fs.LoopbackNode{RootData: root}, d}
	root.RootNode = node
	server, err := fs.Mount(mounted, node, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true}})
	require.NoError(t, err)
	answers := os.NewFile(4, "answers")
	for commands := bufio.NewScanner(os.NewFile(3, "commands")); commands.Scan(); {
		var n, errno int
		var stays bool
		_, err := fmt.Sscan(commands.Text(), &n, &errno, &stays)
		require.NoError(t, err)
		_, err = fmt.Fprintln(answers, d.arm(n, syscall.Errno(errno), stays))
		require.NoError(t, err)
	}
	require.NoError(t, server.Unmount())
}

// failingDisk counts the calls that change something, and fails one of them.
type failingDisk struct {
	mu    sync.Mutex
	calls int
	n     int
	errno syscall.Errno
	stays bool
}

func (d *failingDisk) arm(n int, errno syscall.Errno, stays bool) (calls int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	calls = d.calls
	d.calls, d.n, d.errno, d.stays = 0, n, errno, stays
	return calls
}

func (d *failingDisk) call() syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.n > 0 && (d.calls == d.n || d.stays && d.calls > d.n) {
		return d.errno
	}
	return 0
}

type failingNode struct {
	*fs.LoopbackNode
	disk *failingDisk
}

// WrapChild has all that lies below fail as well.
func (n *failingNode) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &failingNode{child.(*fs.LoopbackNode), n.disk}
}

func (n *failingNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.disk.call(); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, file, flags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, n.file(file), flags | fuse.FOPEN_DIRECT_IO, errno // else a write is cut at the ends of pages
}

func (n *failingNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	file, flags, errno := n.LoopbackNode.Open(ctx, flags)
	return n.file(file), flags | fuse.FOPEN_DIRECT_IO, errno
}

func (n *failingNode) file(inner fs.FileHandle) fs.FileHandle {
	file, ok := inner.(*fs.LoopbackFile)
	if !ok {
		return inner
	}
	return &failingFile{file, n.disk}
}

func (n *failingNode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.call(); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Mkdir(ctx, name, mode, out)
}

func (n *failingNode) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.disk.call(); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Symlink(ctx, target, name, out)
}

func (n *failingNode) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if errno := n.disk.call(); errno != 0 {
		return errno
	}
	return n.LoopbackNode.Rename(ctx, name, to, newName, flags)
}

type failingFile struct {
	*fs.LoopbackFile
	disk *failingDisk
}

// PassthroughFd has the kernel ask us.
func (f *failingFile) PassthroughFd() (int, bool) { return 0, false }

func (f *failingFile) Write(ctx context.Context, data []byte, at int64) (uint32, syscall.Errno) {
	if errno := f.disk.call(); errno != 0 {
		return 0, errno
	}
	return f.LoopbackFile.Write(ctx, data, at)
}

func (f *failingFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := f.disk.call(); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Fsync(ctx, flags)
}
