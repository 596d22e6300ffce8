//go:build linux

package disk

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killPoll is how often a caller that has had a signal is looked at.
const killPoll = 5 * time.Millisecond

// dying reports whether a thread that waits for an answer is being killed, as the kernel itself has it
// (fatal_signal_pending): SIGKILL is pending for the thread. Every thread of a process gets that when SIGKILL is sent, or
// another signal that ends it at once, or when another thread ends the process (complete_signal and zap_other_threads in
// kernel/signal.c). The kernel sends FUSE one INTERRUPT for the first signal of any kind, and none for a fatal one that
// comes later (request_wait_answer in fs/fuse/dev.c), so this is the only way to know. Of a thread that is in no pid namespace
// of ours (0), or whose /proc cannot be read, it is false.
func dying(thread uint32) bool {
	if thread == 0 {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", thread))
	if err != nil {
		return false
	}
	return killPending(status)
}

// killPending reports whether SIGKILL is in the mask SigPnd of a /proc/PID/status (proc_pid_status(5)), whose bit n-1 is
// the signal n, sent to this thread.
func killPending(status []byte) bool {
	mask, err := strconv.ParseUint(statusField(status, "SigPnd"), 16, 64)
	return err == nil && mask&(1<<(unix.SIGKILL-1)) != 0
}

// statusField is a field of a /proc/PID/status or fdinfo, "" if it has none of the name.
func statusField(status []byte, name string) string {
	for line := range bytes.Lines(status) {
		if text, found := bytes.CutPrefix(line, []byte(name+":")); found {
			return string(bytes.TrimSpace(text))
		}
	}
	return ""
}
