package injector

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// controlPath is where commands are taken.
var controlPath = filepath.Join(ControlDir, "injector.sock")

const (
	dialPoll  = 2 * time.Millisecond
	dialLimit = 5 * time.Second // for PID 1 to listen
)

// control is where a pod's PID 1 takes commands.
type control struct {
	listener *net.UnixListener
	serve    func(io.Reader, io.Writer) error
	lifeline *lifeline
}

// listenUnix listens at a path, or at an abstract name (unix(7)), which begins with @.
func listenUnix(name string) (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the injector's socket: %w", err)
	}
	return listener, nil
}

// run serves streams until the listener is closed. One that goes wrong ends: the harness then
// opens another.
func (c control) run() error {
	return acceptAll(c.listener, func(conn *net.UnixConn) {
		c.lifeline.hold()
		go func() {
			defer c.lifeline.letGo()
			defer conn.Close()
			c.serve(conn, conn)
		}()
	})
}

// acceptAll hands connections on until the listener is closed. An error that one connection, or
// the machine, makes is waited out.
func acceptAll[C net.Conn](listener net.Listener, handle func(C)) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		handle(conn.(C))
	}
}

// dialUnix connects to the pod's PID 1, which may be just about to listen.
func dialUnix(name string) (*net.UnixConn, error) {
	for began := time.Now(); ; time.Sleep(dialPoll) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
		if err == nil {
			return conn, nil
		}
		if errors.Is(err, os.ErrPermission) || time.Since(began) > dialLimit {
			return nil, fmt.Errorf("the pod's injector: %w", err)
		}
	}
}

// Relay is a control stream: it carries in to the pod's PID 1, and what that answers to
// out, until in ends.
func Relay(in io.Reader, out io.Writer) error { return relay(controlPath, in, out) }

func relay(name string, in io.Reader, out io.Writer) error {
	conn, err := dialUnix(name)
	if err != nil {
		return err
	}
	defer conn.Close()
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
