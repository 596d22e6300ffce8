//go:build linux

package space

import (
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// channels are the two ends of a channel.
func channels(t *testing.T) (ours, theirs *net.UnixConn) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "channel")
		conn, err := net.FileConn(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func TestSocketsAreHandedOutUntilTheChannelEnds(t *testing.T) {
	ours, theirs := channels(t)
	over := make(chan error, 1)
	go func() { over <- handOut(theirs) }()
	seen := map[int]bool{}
	for range 3 {
		fd, err := Channel{ours}.Socket()
		require.NoError(t, err)
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		require.NoError(t, err)
		require.Equal(t, unix.SOCK_STREAM, kind)
		seen[fd] = true
		defer unix.Close(fd)
	}
	require.Len(t, seen, 3)
	require.NoError(t, ours.Close())
	require.NoError(t, <-over)
	_, err := Channel{ours}.Socket()
	require.ErrorContains(t, err, "asking the cluster's network")
}

func TestARefusedSocketSaysWhy(t *testing.T) {
	ours, theirs := channels(t)
	go func() {
		theirs.Read(make([]byte, 1))
		theirs.Write([]byte("too many open files"))
	}()
	_, err := Channel{ours}.Socket()
	require.EqualError(t, err, "too many open files")
	require.NoError(t, theirs.Close())
	_, err = Channel{ours}.Socket()
	require.Error(t, err)
}

func TestMainKnowsItsCommands(t *testing.T) {
	for _, args := range [][]string{nil, {"hold"}, {"space"}, {"pod"}, {"pod", "{}", "x"}} {
		known, err := Main(args)
		require.False(t, known, args)
		require.NoError(t, err)
	}
	known, err := Main([]string{"space", "{"})
	require.True(t, known)
	require.ErrorContains(t, err, "config")
}

func FuzzReceived(f *testing.F) {
	f.Add([]byte("s"), unix.UnixRights(1<<30))
	f.Add([]byte("why not"), []byte{})
	f.Add([]byte("s"), []byte("\x15\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x0000000")) // five bytes
	f.Fuzz(func(t *testing.T, text, rights []byte) {
		fd, err := received(text, rights)
		if err != nil {
			require.Equal(t, -1, fd)
		}
	})
}
