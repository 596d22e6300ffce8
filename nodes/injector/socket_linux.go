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

// socketName is where a pod's PID 1 listens for the other programs of the pod. It is an
// abstract name (unix(7)): it belongs to the pod's network namespace, so nobody else can
// reach it, no link fault touches it, and nothing of it is left behind.
const socketName = "@faultline-injector"

// The first byte on a connection says what it is for.
const (
	forControl = 'c' // Serve, of the rest
	forEntry   = 'e' // a process is going to execute the node
)

const (
	entryLimit = 20 * time.Second // for a process to execute the node once the pod is ready
	dialPoll   = 2 * time.Millisecond
	dialLimit  = 5 * time.Second // for PID 1 to listen
)

// door is what a pod's PID 1 listens at.
type door struct {
	listener *net.UnixListener
	serve    func(io.Reader, io.Writer) error
	// enter makes all ready for a process to execute the node. What it returns is called once
	// that has been told to go on, and may be nil.
	enter func(pid int) (follow func(), err error)
}

func newDoor(name string) (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the injector's socket: %w", err)
	}
	return listener, nil
}

// run answers until the listener is closed.
func (d door) run() error {
	for {
		conn, err := d.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the injector's socket: %w", err)
		}
		go d.answer(conn)
	}
}

// answer does what a connection is for. What goes wrong is told to whoever asked, or, of a
// control stream, ends it: the harness then opens another.
func (d door) answer(conn *net.UnixConn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	kind, err := in.ReadByte()
	switch {
	case err != nil:
	case kind == forControl:
		d.serve(in, conn)
	case kind == forEntry:
		follow, err := d.admit(conn)
		text := ""
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintf(conn, "%s\n", strings.ReplaceAll(text, "\n", "; ")) // who has gone meanwhile is missed by follow
		if follow != nil {
			follow()
		}
	}
}

func (d door) admit(conn *net.UnixConn) (follow func(), err error) {
	pid, err := peerOf(conn)
	if err != nil {
		return nil, err
	}
	return d.enter(pid)
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

// dial connects to the pod's PID 1, which may be just about to listen.
func dial(name string) (*net.UnixConn, error) {
	for began := time.Now(); ; time.Sleep(dialPoll) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
		if err == nil {
			return conn, nil
		}
		if time.Since(began) > dialLimit {
			return nil, fmt.Errorf("the pod's injector: %w", err)
		}
	}
}

// Relay is a control stream: it carries in to the pod's PID 1, and what that answers to
// out, until in ends.
func Relay(in io.Reader, out io.Writer) error { return relay(socketName, in, out) }

func relay(name string, in io.Reader, out io.Writer) error {
	conn, err := dial(name)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{forControl}); err != nil {
		return err
	}
	ended, asked := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, in)
		close(ended) // before the injector hears of it, and hangs up in its turn
		asked <- errors.Join(err, conn.CloseWrite())
	}()
	if _, err := io.Copy(out, conn); err != nil {
		return err
	}
	select {
	case <-ended:
		return <-asked
	default:
		return errors.New("the pod's injector has hung up")
	}
}

// enter, of the socket of a pod's PID 1, is called by a process that is going to execute the node, right before it does: it
// returns once the pod is ready for the new process, which from its first instruction on
// meets the clock and the disk that are asked for.
func enter(name string) error {
	conn, err := dial(name)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{forEntry}); err != nil {
		return fmt.Errorf("the pod's injector: %w", err)
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the pod's injector: %w", err)
	}
	if text := strings.TrimSpace(text); text != "" {
		return fmt.Errorf("the pod is not ready for the node: %s", text)
	}
	return nil
}

// Become executes the node in place of this process, once the pod is ready for it.
func Become(args []string) error {
	if err := enter(socketName); err != nil {
		return err
	}
	err := unix.Exec(NodePath, append([]string{NodePath}, args...), os.Environ())
	return fmt.Errorf("exec %s: %w", NodePath, err)
}
