package injector

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// entryName is where Hold listens for processes that are going to execute the node. It is an
// abstract name (unix(7)): it belongs to the pod's network namespace, and the node can reach it
// too. So all that can be done there is to enter, and that only when the runtime has said that
// it is about to start the node: see Pod.enterExpected.
const entryName = "@faultline-entry"

const entryLimit = 20 * time.Second // for a process to execute the node once the pod is ready

// enterFunc makes all ready for a process to execute the node. What it returns is called once
// that has been told to go on, and may be nil.
type enterFunc func(pid int) (follow func(), err error)

// entries is where a pod's PID 1 listens for entries. To connect is to ask, and nothing is read:
// nobody can hold the others up.
type entries struct {
	listener *net.UnixListener
	enter    enterFunc
}

// run answers, one after the other, until the listener is closed.
func (e entries) run() error {
	return acceptAll(e.listener, func(conn *net.UnixConn) {
		defer conn.Close()
		pid, err := peerOf(conn)
		if err != nil {
			return
		}
		if follow := admit(e.enter, pid, conn); follow != nil {
			go follow()
		}
	})
}

// admit makes all ready for a process, and tells it so, or why not. One that has gone
// meanwhile is missed by follow.
func admit(enter enterFunc, pid int, to io.Writer) (follow func()) {
	follow, err := enter(pid)
	text := ""
	if err != nil {
		text = err.Error()
	}
	fmt.Fprintf(to, "%s\n", strings.ReplaceAll(text, "\n", "; "))
	return follow
}

// peerOf is the process at the other end, as the pid namespace of this process knows it.
func peerOf(conn *net.UnixConn) (pid int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	control := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(control, err); err != nil {
		return 0, fmt.Errorf("who asks at the injector's socket: %w", err)
	}
	return int(peer.Pid), nil
}

// enter is called by a process that is going to execute the node, right before it does: it
// returns once the pod is ready for the new process, which from its first instruction on
// meets the clock and the disk that are asked for.
func enter(name string) error {
	conn, err := dialUnix(name)
	if err != nil {
		return err
	}
	defer conn.Close()
	return awaitReady(conn)
}

// awaitReady waits for the answer to an entry.
func awaitReady(answer io.Reader) error {
	text, err := bufio.NewReader(answer).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the pod's injector: %w", err)
	}
	if text := strings.TrimSpace(text); text != "" {
		return fmt.Errorf("the pod is not ready for the node: %s", text)
	}
	return nil
}

// Become executes the node in place of this process, once the pod, whose Hold is asked, is
// ready for it.
func Become(args []string) error {
	if err := enter(entryName); err != nil {
		return err
	}
	return execute(args)
}

// BecomeTold is Become where the pod's own PID 1 has started this process, and tells it by
// Admit over an inherited descriptor, which the node does not get, that the pod is ready.
func BecomeTold(inherited int, args []string) error {
	unix.CloseOnExec(inherited)
	if err := awaitReady(os.NewFile(uintptr(inherited), "entry")); err != nil {
		return err
	}
	return execute(args)
}

func execute(args []string) error {
	err := unix.Exec(NodePath, append([]string{NodePath}, args...), os.Environ())
	return fmt.Errorf("exec %s: %w", NodePath, err)
}
