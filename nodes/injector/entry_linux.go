package injector

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes"
)

// entryName is where Hold listens for processes that are going to execute the node. It is an
// abstract name (unix(7)): it belongs to the pod's network namespace, and the node can reach it
// too. So all that can be done there is to enter, and that only when the runtime has said that
// it is about to start the node: see Pod.enterExpected.
const entryName = "@faultline-entry"

const entryLimit = 20 * time.Second // for a process to execute the node once the pod is ready

// enterFunc makes all ready for a process to execute the node. What it returns is called once
// that has been told to go on, and may be nil.
type enterFunc func(pid int) (launch nodes.Launch, follow func(), err error)

// entry is the answer to an entry, a line of JSON.
type entry struct {
	Error  string       `json:"error,omitempty"` // why it may not
	Launch nodes.Launch `json:"launch,omitzero"` // what to execute
}

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

// admit makes all ready for a process, and tells it what to execute, or why not.
func admit(enter enterFunc, pid int, to io.Writer) (follow func()) {
	launch, follow, err := enter(pid)
	answer := entry{Launch: launch}
	if err != nil {
		answer = entry{Error: strings.ReplaceAll(err.Error(), "\n", "; ")}
	}
	_ = json.NewEncoder(to).Encode(answer) // one that has gone meanwhile is missed by follow
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
// meets the clock and the disk that are asked for, and says what to execute.
func enter(name string) (nodes.Launch, error) {
	conn, err := dialUnix(name)
	if err != nil {
		return nodes.Launch{}, err
	}
	defer conn.Close()
	return awaitReady(conn)
}

// awaitReady waits for the answer to an entry.
func awaitReady(answer io.Reader) (nodes.Launch, error) {
	line, err := bufio.NewReader(answer).ReadBytes('\n')
	if err != nil {
		return nodes.Launch{}, fmt.Errorf("the pod's injector: %w", err)
	}
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return nodes.Launch{}, fmt.Errorf("the pod's injector: %w", err)
	}
	if e.Error != "" {
		return nodes.Launch{}, fmt.Errorf("the pod is not ready for the node: %s", e.Error)
	}
	return e.Launch, e.Launch.Check()
}

// Become executes the node in place of this process, once the pod, whose Hold is asked, is
// ready for it.
func Become() error {
	launch, err := enter(entryName)
	if err != nil {
		return err
	}
	return execute(launch)
}

// BecomeTold is Become where the pod's own PID 1 has started this process, and tells it by
// Admit over an inherited descriptor, which the node does not get, that the pod is ready.
func BecomeTold(inherited int) error {
	unix.CloseOnExec(inherited)
	launch, err := awaitReady(os.NewFile(uintptr(inherited), "entry"))
	if err != nil {
		return err
	}
	return execute(launch)
}

// execute becomes the node. Its files are written first, by the node's own user.
func execute(l nodes.Launch) error {
	for name, content := range l.Files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("a file of the node: %w", err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return fmt.Errorf("a file of the node: %w", err)
		}
	}
	program := cmp.Or(l.Program, NodePath)
	err := unix.Exec(program, append([]string{program}, l.Args...), append(os.Environ(), l.Env...))
	return fmt.Errorf("exec %s: %w", program, err)
}
