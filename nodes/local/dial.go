//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// connect connects a non-blocking TCP socket, whatever network namespace it belongs to,
// and closes it if that fails.
func connect(ctx context.Context, fd int, addr netip.AddrPort) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), addr.String())
	defer file.Close() // net.FileConn copies it
	stop := context.AfterFunc(ctx, func() {
		file.SetDeadline(time.Unix(1, 0)) // long ago; it fails only if the socket is closed already
	})
	defer stop()
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	a := attempt{addr: &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}}
	if err := errors.Join(raw.Write(a.step), a.err); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// attempt is a connect under way.
type attempt struct {
	addr  unix.Sockaddr
	begun bool
	err   error
}

// step reports whether the attempt is over. It is called when the socket is ready for
// writing, which before the end of a connect may mean nothing.
func (a *attempt) step(fd uintptr) bool {
	if !a.begun {
		a.begun = true
		a.err = os.NewSyscallError("connect", unix.Connect(int(fd), a.addr))
		if errors.Is(a.err, unix.EINPROGRESS) || errors.Is(a.err, unix.EINTR) {
			a.err = nil
			return false
		}
		return true
	}
	code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		a.err = os.NewSyscallError("getsockopt", err)
	case code != 0:
		a.err = os.NewSyscallError("connect", unix.Errno(code))
	default:
		_, err := unix.Getpeername(int(fd))
		if errors.Is(err, unix.ENOTCONN) {
			return false
		}
		a.err = os.NewSyscallError("getpeername", err)
	}
	return true
}
