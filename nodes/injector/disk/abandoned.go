//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Abandoned is a file system whose server is dying and cannot, since something of it waits for an answer that only it
// could give. Such processes take no signal, SIGKILL included, nor does anything end that waits for them.
type Abandoned struct {
	Connection uint32 // its number below /sys/fs/fuse/connections
	Server     int    // the process that serves it
}

func (a Abandoned) String() string {
	return fmt.Sprintf("FUSE connection %d of process %d", a.Connection, a.Server)
}

const (
	connections  = "/sys/fs/fuse/connections"
	fusectlMagic = 0x65735543 // FUSE_CTL_SUPER_MAGIC of the kernel's fs/fuse/control.c
	abortWithin  = 5 * time.Second

	miscMajor, fuseMinor = 10, 229 // of /dev/fuse, whatever it is called (the kernel's Documentation/admin-guide/devices.txt)
)

// AbortAbandoned finds the file systems of this package whose servers are dying (every thread of such a process has ended or
// has SIGKILL pending), aborts them, and waits until the servers have gone. It returns what it aborted; the error names what it could not
// do. One whose server is about to die in good health is dead a moment later in any case. Other FUSE file
// systems are left alone: a server of ours is known by the descriptor that it has of .faultline-kept.
//
// It works by fusectl ("Control filesystem" in the kernel's Documentation/filesystems/fuse), which it mounts where nobody
// else sees it if it is not mounted. That takes root; whoever owns the connection may abort it where fusectl is mounted.
func AbortAbandoned() (aborted []Abandoned, err error) {
	servers, err := dyingServers()
	if len(servers) == 0 {
		return nil, err
	}
	done := make(chan error)
	go onOwnThread(func() {
		err := showConnections()
		if err == nil {
			aborted, err = abortAll(servers)
		}
		done <- err
	})
	if e := <-done; e != nil {
		err = errors.Join(err, fmt.Errorf("disks whose servers (processes %v) are killed and cannot end: %w", slices.Sorted(maps.Keys(servers)), e))
	}
	return aborted, err
}

// showConnections mounts fusectl for the calling thread, which goes away after it.
func showConnections() error {
	var st unix.Statfs_t
	if err := unix.Statfs(connections, &st); err == nil && st.Type == fusectlMagic {
		return nil
	}
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("faultline", connections, "fusectl", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err != nil {
		return fmt.Errorf("fusectl: %w; as root: mount -t fusectl none %s, and write 1 to its NUMBER/abort", err, connections)
	}
	return nil
}

// abortAll aborts the connections of servers.
func abortAll(servers map[int][]uint32) (aborted []Abandoned, err error) {
	for server, numbers := range servers {
		for _, number := range numbers {
			dir := filepath.Join(connections, fmt.Sprint(number))
			if _, e := os.Stat(dir); errors.Is(e, fs.ErrNotExist) {
				continue // it has been aborted meanwhile, or never was one
			}
			one := Abandoned{number, server}
			if e := os.WriteFile(filepath.Join(dir, "abort"), []byte("1"), 0); e != nil {
				err = errors.Join(err, fmt.Errorf("%v: %w", one, e))
				continue
			}
			aborted = append(aborted, one)
		}
	}
	late := time.Now().Add(abortWithin)
	for _, one := range aborted {
		for dyingProcess(one.Server) {
			if time.Now().After(late) {
				err = errors.Join(err, fmt.Errorf("%v: aborted, and the process is still there", one))
				break
			}
			time.Sleep(killPoll)
		}
	}
	return aborted, err
}

// dyingServers are the servers of ours that are dying, each with the numbers of its connections. The error names programs of ours
// that this user may not look at.
func dyingServers() (map[int][]uint32, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	servers := map[int][]uint32{}
	var blind error
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !dyingProcess(pid) {
			continue
		}
		numbers, err := served(pid)
		if name, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm")); err != nil && string(name) == "injector\n" {
			blind = errors.Join(blind, fmt.Errorf("process %d, which is killed and has not ended: %w", pid, err))
		}
		if len(numbers) > 0 {
			servers[pid] = numbers
		}
	}
	return servers, blind
}

// dyingProcess reports whether a process has a thread that was killed and is still there, and no thread that was not.
func dyingProcess(pid int) bool {
	killed := false
	for _, thread := range threads(pid) {
		status, err := os.ReadFile(filepath.Join(thread, "status"))
		if err != nil {
			continue // it has ended
		}
		if state := statusField(status, "State"); strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
			continue
		}
		if !killPending(status) {
			return false
		}
		killed = true
	}
	return killed
}

// threads are the directories of a process's threads.
func threads(pid int) (paths []string) {
	tasks := fmt.Sprintf("/proc/%d/task", pid)
	entries, err := os.ReadDir(tasks)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		paths = append(paths, filepath.Join(tasks, e.Name()))
	}
	return paths
}

// served is the numbers of the connections that a process serves, none if it is no server of ours. Its first thread may
// have ended, and with it what /proc/PID/fd shows, so every thread is looked at.
func served(pid int) ([]uint32, error) {
	var failed error
	for _, thread := range threads(pid) {
		numbers, err := descriptors(filepath.Join(thread, "fd"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		failed = errors.Join(failed, err)
		if len(numbers) > 0 {
			return numbers, nil
		}
	}
	return nil, failed
}

// descriptors looks through those of one thread. A connection is known by the mount's root, a descriptor that was opened
// with O_PATH and has no path; its number is the minor device number of that. It is
// asked for without any question to the server, which would never answer: with an empty mask fuse_getattr in the
// kernel's fs/fuse/dir.c gives it from the superblock to everybody.
func descriptors(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	device, kept := false, false
	var numbers []uint32
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		link, err := os.Readlink(path)
		if err != nil {
			continue // closed meanwhile
		}
		var st unix.Statx_t
		if unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, 0, &st) != nil {
			continue
		}
		switch {
		case st.Rdev_major == miscMajor && st.Rdev_minor == fuseMinor:
			device = true
		case filepath.Base(strings.TrimSuffix(link, " (deleted)")) == keptDir:
			kept = true
		case link == "/" && st.Dev_major == 0 && isPath(filepath.Join(filepath.Dir(dir), "fdinfo", e.Name())):
			numbers = append(numbers, st.Dev_minor)
		}
	}
	if !device || !kept {
		return nil, nil
	}
	return numbers, nil
}

// isPath reports whether a descriptor was opened with O_PATH, from its fdinfo (proc_pid_fdinfo(5)).
func isPath(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	flags, err := strconv.ParseUint(statusField(text, "flags"), 8, 64)
	return err == nil && flags&unix.O_PATH != 0
}
