package pods

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Owner identifies a process for ever: pids come again, start times within one boot of
// one machine do not.
type Owner struct {
	pid   int
	start uint64 // clock ticks since boot
	boot  string
}

func (o Owner) String() string { return fmt.Sprintf("%d.%d.%s", o.pid, o.start, o.boot) }

func parseOwner(text string) (Owner, error) {
	var o Owner
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[2] == "" {
		return o, fmt.Errorf("owner %q: want PID.START.BOOT", text)
	}
	var err error
	if o.pid, err = strconv.Atoi(parts[0]); err != nil {
		return o, fmt.Errorf("owner %q: %w", text, err)
	}
	if o.start, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return o, fmt.Errorf("owner %q: %w", text, err)
	}
	o.boot = parts[2]
	return o, nil
}

// Self is the owner that this process is. proc is procfs.
func Self(proc fs.FS) (Owner, error) {
	boot, err := fs.ReadFile(proc, "sys/kernel/random/boot_id")
	if err != nil {
		return Owner{}, fmt.Errorf("which boot this is: %w", err)
	}
	start, err := startTime(proc, os.Getpid())
	if err != nil {
		return Owner{}, err
	}
	return Owner{pid: os.Getpid(), start: start, boot: strings.TrimSpace(string(boot))}, nil
}

// Liveness is a function that tells whether the process of an Owner, given as text, lives.
func Liveness(proc fs.FS) (func(owner string) bool, error) {
	me, err := Self(proc)
	if err != nil {
		return nil, err
	}
	return func(owner string) bool {
		o, err := parseOwner(owner)
		if err != nil || o.boot != me.boot {
			return false
		}
		start, err := startTime(proc, o.pid)
		return err == nil && start == o.start
	}, nil
}

// startTime is field 22 of /proc/PID/stat (proc_pid_stat(5)), in clock ticks since boot.
// The fields after the program's name, which may hold anything, begin with the third.
func startTime(proc fs.FS, pid int) (uint64, error) {
	stat, err := fs.ReadFile(proc, strconv.Itoa(pid)+"/stat")
	if err != nil {
		return 0, fmt.Errorf("when process %d started: %w", pid, err)
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const index = 22 - 3
	if len(fields) <= index {
		return 0, fmt.Errorf("when process %d started: %q is not a line of /proc/PID/stat", pid, text)
	}
	return strconv.ParseUint(fields[index], 10, 64)
}
