// Package oshost is the operating system as a nodes.Host: sockets, clocks and a
// directory of the machine that the process runs on.
package oshost

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net"
	"time"

	"faultline/nodes"
)

// Host is this machine, with one directory of it.
type Host struct {
	disk  *Disk
	log   *slog.Logger
	start time.Time
}

var _ nodes.Host = (*Host)(nil)

// New makes a host whose disk is the directory dir, which is made if it is absent.
func New(dir string, log *slog.Logger) (*Host, error) {
	disk, err := OpenDisk(dir)
	if err != nil {
		return nil, err
	}
	return &Host{disk: disk, log: log, start: time.Now()}, nil
}

// Listen opens a TCP listener.
func (h *Host) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// ListenPacket opens a UDP socket.
func (h *Host) ListenPacket(addr string) (net.PacketConn, error) {
	return net.ListenPacket("udp", addr)
}

// Dial connects by TCP. The kernel's keepalive is off: whoever uses a connection has
// one of its own, which knows how long it can wait.
func (h *Host) Dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	return dialer.DialContext(ctx, "tcp", addr)
}

// Now is the wall clock.
func (h *Host) Now() time.Time { return time.Now() }

// Uint64 is from the operating system's source of random bytes.
func (h *Host) Uint64() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails, as of Go 1.24
	return binary.NativeEndian.Uint64(b[:])
}

// Monotonic counts since the host was made. On Linux it is CLOCK_MONOTONIC, which also
// counts while the process is stopped.
func (h *Host) Monotonic() time.Duration { return time.Since(h.start) }

// Disk is the directory.
func (h *Host) Disk() nodes.Disk { return h.disk }

// Log is the logger.
func (h *Host) Log() *slog.Logger { return h.log }
