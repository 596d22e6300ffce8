package clock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// tasks lists the living threads of a process; none if it has ended.
func tasks(pid int) ([]int, error) {
	living, _, err := threads(pid)
	return living, err
}

// threads lists the threads of a process: the living, and those who have ended and have not been
// waited for.
func threads(pid int) (living, dead []int, err error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		if gone(err) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	for _, e := range entries {
		tid, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("/proc/%d/task: %w", pid, err)
		}
		lives, err := alive(pid, tid)
		if err != nil {
			return nil, nil, err
		}
		if lives {
			living = append(living, tid)
		} else {
			dead = append(dead, tid)
		}
	}
	return living, dead, nil
}

// alive reports whether a thread has not ended; a zombie has. Its state follows its name,
// which may contain anything, in parentheses (proc_pid_stat(5)).
func alive(pid, tid int) (bool, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if err != nil {
		if gone(err) {
			return false, nil
		}
		return false, err
	}
	name := bytes.LastIndexByte(stat, ')')
	if name < 0 || name+2 >= len(stat) {
		return false, fmt.Errorf("state of thread %d: %q", tid, stat)
	}
	letter := stat[name+2]
	return letter != 'Z' && letter != 'X', nil
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// denied explains an error of permission.
func denied(pid int, err error) error {
	switch {
	case gone(err):
		return fmt.Errorf("process %d: %w", pid, ErrGone)
	case !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("process %d: %w", pid, err)
	}
	if tracer := tracerOf(pid); tracer != 0 {
		return fmt.Errorf("process %d: %w: thread %d traces it already (a debugger?), end that first", pid, err, tracer)
	}
	return fmt.Errorf("process %d: %w: its clocks are only for who may trace it: run with its uid or with CAP_SYS_PTRACE"+
		" (with CAP_SYS_PTRACE anyway if kernel.yama.ptrace_scope is not 0 and it is no child of ours)", pid, err)
}

// tracerOf is the thread that traces a process, 0 if nobody or if that cannot be read.
func tracerOf(pid int) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(status, []byte("\nTracerPid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	tracer, err := strconv.Atoi(string(line))
	if err != nil {
		return 0
	}
	return tracer
}
