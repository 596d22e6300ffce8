package injector

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is CLOCK_MONOTONIC, which all pods of a machine share; the clock that the
// time package reads has no value that could be sent to another process.
func monotonic() (time.Duration, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano()), err
}

// probeBuffer is room for trains whose reader is scheduled late.
const probeBuffer = 8 << 20

// enlarge makes the receive buffer of a socket larger than everybody's limit, if it may.
func enlarge(socket *net.UDPConn) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var forced error
	err = raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, probeBuffer)
	})
	if err == nil && forced != nil {
		err = socket.SetReadBuffer(probeBuffer) // as much as everybody may have
	}
	return err
}
