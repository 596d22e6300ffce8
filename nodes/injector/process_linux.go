package injector

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// processes are the processes of the node in this pid namespace.
type processes struct {
	proc string // where procfs is mounted
	// are says whether a process belongs to the node, by the file that it executes and by the
	// content of its /proc/PID/stat.
	are func(pid int, file string, stat []byte) bool
}

// Path is the file of this program in a pod.
const Path = "/bin/injector"

// nodeProcesses is how processes of a pod's node are told: by what they are not. All programs of
// the pod's own execute the injector. What has its parent outside of the pid namespace was put
// there by the container engine, and is the node if it has entered, as entered says; else it
// is a program of the engine that is about to execute the injector. own is what PID 1 executes, which
// may have started from another path.
func nodeProcesses(own string, entered func() (pid int)) func(pid int, file string, stat []byte) bool {
	return func(pid int, file string, stat []byte) bool {
		if file == "" || file == Path || file == own {
			return false
		}
		parent, err := statParent(stat)
		return err == nil && (parent != 0 || pid == entered())
	}
}

const (
	signalPatience = 12 * time.Second // for a signal to take effect: a thread in a slow fsync stops after it
	signalPoll     = 100 * time.Microsecond
)

// set signals the processes until they are as wanted. It cannot start what is absent:
// it tells what it found in the end.
func (p processes) set(want faults.ProcessState) (faults.ProcessState, error) {
	pids, err := p.find()
	if err != nil || len(pids) == 0 {
		return faults.Killed, err
	}
	now, err := p.count(pids)
	if err != nil || now.are(want) || now.state() == faults.Killed {
		return now.state(), err
	}
	signal := map[faults.ProcessState]unix.Signal{faults.Running: unix.SIGCONT, faults.Paused: unix.SIGSTOP, faults.Killed: unix.SIGKILL}[want]
	for _, pid := range pids {
		if err := unix.Kill(pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return now.state(), fmt.Errorf("%s to process %d: %w", unix.SignalName(signal), pid, err)
		}
	}
	for began := time.Now(); ; time.Sleep(signalPoll) {
		now, err := p.count(pids)
		if err != nil || now.are(want) || now.state() == faults.Killed {
			return now.state(), err
		}
		if time.Since(began) > signalPatience {
			return now.state(), fmt.Errorf("the node's process is still %s %v after %s", now.state(), signalPatience, unix.SignalName(signal))
		}
	}
}

// seen is the state now.
func (p processes) seen() (faults.ProcessState, error) {
	pids, err := p.find()
	if err != nil {
		return "", err
	}
	now, err := p.count(pids)
	return now.state(), err
}

// find lists the node's processes. Zombies execute nothing. Where we may not look, the
// container engine is at work: it sets a process up with capabilities that we lack, and drops
// them just before the process executes the node's file.
func (p processes) find() ([]int, error) {
	entries, err := os.ReadDir(p.proc)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 || pid == os.Getpid() {
			continue
		}
		file, err := os.Readlink(filepath.Join(p.proc, e.Name(), "exe"))
		if err != nil && !gone(err) && !errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("what process %d executes: %w", pid, err)
		}
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(p.proc, e.Name(), "stat"))
		if err != nil && !gone(err) {
			return nil, fmt.Errorf("whose child process %d is: %w", pid, err)
		}
		if err == nil && p.are(pid, file, stat) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// threads counts the threads of processes, the dead left out.
type threads struct{ free, stopped int }

// state is Running if any thread may run, and Killed if there is none.
func (t threads) state() faults.ProcessState {
	switch {
	case t.free > 0:
		return faults.Running
	case t.stopped > 0:
		return faults.Paused
	}
	return faults.Killed
}

// are reports whether all threads are in the state.
func (t threads) are(want faults.ProcessState) bool {
	return t.state() == want && (want != faults.Running || t.stopped == 0)
}

func (p processes) count(pids []int) (threads, error) {
	var all threads
	for _, pid := range pids {
		tasks := filepath.Join(p.proc, strconv.Itoa(pid), "task")
		entries, err := os.ReadDir(tasks)
		if err != nil && !gone(err) {
			return all, err
		}
		for _, task := range entries {
			stat, err := os.ReadFile(filepath.Join(tasks, task.Name(), "stat"))
			if gone(err) {
				continue
			}
			if err != nil {
				return all, err
			}
			letter, err := statLetter(stat)
			if err != nil {
				return all, err
			}
			switch letter {
			case 'Z', 'X': // dead, and not yet waited for
			case 'T':
				all.stopped++
			default:
				all.free++
			}
		}
	}
	return all, nil
}

// gone reports whether an error of procfs means that the process has ended meanwhile.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}
