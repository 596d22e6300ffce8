package pods

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// Owner identifies a process forever: pids come again, start times within one boot of
// one machine do not. A pid says something in its own pid namespace only, so that is part
// of it.
type Owner struct {
	pid   int
	start uint64 // clock ticks since boot
	boot  string
	space string // the pid namespace's inode; empty in the form of old, which did not tell it
}

func (o Owner) String() string {
	text := fmt.Sprintf("%d.%d.%s", o.pid, o.start, o.boot)
	if o.space != "" {
		text += "." + o.space
	}
	return text
}

func parseOwner(text string) (Owner, error) {
	var o Owner
	parts := strings.Split(text, ".")
	if len(parts) < 3 || len(parts) > 4 || parts[2] == "" {
		return o, fmt.Errorf("owner %q: want PID.START.BOOT.PIDNAMESPACE", text)
	}
	var err error
	if o.pid, err = strconv.Atoi(parts[0]); err != nil {
		return o, fmt.Errorf("owner %q: %w", text, err)
	}
	if o.start, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return o, fmt.Errorf("owner %q: %w", text, err)
	}
	o.boot = parts[2]
	if len(parts) == 4 {
		if o.space = parts[3]; o.space == "" {
			return o, fmt.Errorf("owner %q: a pid namespace without a name", text)
		}
	}
	return o, nil
}

// Self is the owner that this process is, as procfs, which may be that of another pid
// namespace, knows it.
func Self(proc fs.FS) (Owner, error) {
	boot, err := fs.ReadFile(proc, "sys/kernel/random/boot_id")
	if err != nil {
		return Owner{}, fmt.Errorf("which boot this is: %w", err)
	}
	self, err := fs.ReadLink(proc, "self")
	if err != nil {
		return Owner{}, fmt.Errorf("which process this is: %w", err)
	}
	pid, err := strconv.Atoi(self)
	if err != nil {
		return Owner{}, fmt.Errorf("which process this is: %w", err)
	}
	space, err := fs.ReadLink(proc, "self/ns/pid") // "pid:[4026531836]", see namespaces(7)
	if err != nil {
		return Owner{}, fmt.Errorf("which pid namespace this is: %w", err)
	}
	start, _, err := startTime(proc, pid)
	if err != nil {
		return Owner{}, err
	}
	return Owner{pid: pid, start: start, boot: strings.TrimSpace(string(boot)),
		space: strings.TrimSuffix(strings.TrimPrefix(space, "pid:["), "]")}, nil
}

// OwnerState is what can be told of an owner from here.
type OwnerState int

const (
	Gone   OwnerState = iota // its process has ended, or nobody is named
	Alive                    // its process lives
	Unseen                   // it is, or may be, where nobody sees it from here: in another pid namespace, in a sandbox with a boot of its own, hidden by procfs
)

// Owners is a function that tells the state of an Owner, given as text.
func Owners(proc fs.FS) (func(owner string) OwnerState, error) {
	me, err := Self(proc)
	if err != nil {
		return nil, err
	}
	return func(owner string) OwnerState {
		o, err := parseOwner(owner)
		switch {
		case err != nil:
			return Gone
		case o.boot != me.boot || o.space != "" && o.space != me.space:
			return Unseen
		}
		start, dead, err := startTime(proc, o.pid)
		switch {
		case err == nil && !dead && start == o.start:
			return Alive
		case o.space == "": // the form of old: it may be of any pid namespace
			return Unseen
		case err != nil && !errors.Is(syscall.Kill(o.pid, 0), syscall.ESRCH): // procfs hides it (hidepid, proc(5))
			return Unseen
		}
		return Gone
	}, nil
}

// startTime is field 22 of /proc/PID/stat (proc_pid_stat(5)), in clock ticks since boot.
// The fields after the program's name, which may hold anything, begin with the third, the
// state: a process that has ended, and that nobody has waited for yet, is Z or X.
func startTime(proc fs.FS, pid int) (ticks uint64, dead bool, err error) {
	stat, err := fs.ReadFile(proc, strconv.Itoa(pid)+"/stat")
	if err != nil {
		return 0, false, fmt.Errorf("when process %d started: %w", pid, err)
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const index = 22 - 3
	if len(fields) <= index {
		return 0, false, fmt.Errorf("when process %d started: %q is not a line of /proc/PID/stat", pid, text)
	}
	ticks, err = strconv.ParseUint(fields[index], 10, 64)
	return ticks, fields[0] == "Z" || fields[0] == "X", err
}
