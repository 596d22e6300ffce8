//go:build linux

package space

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// A socket belongs forever to the network namespace that it was made in, and whoever holds
// it may connect it. So the harness can reach the pods, and sees every error of the connection
// itself, without being in their network.

// Channel asks a space for sockets. It is a packet socket: a packet to the space asks
// for a TCP socket, unconnected and non-blocking; the answer carries it, or is a text that
// says why not.
type Channel struct{ Conn *net.UnixConn }

const (
	maxAnswer      = 512
	descriptorSize = 4 // of an int in a control message
)

// Socket asks for one. One may ask at a time.
func (c Channel) Socket() (fd int, err error) {
	if _, err := c.Conn.Write([]byte{'s'}); err != nil {
		return -1, fmt.Errorf("asking the cluster's network for a socket: %w", err)
	}
	text, rights := make([]byte, maxAnswer), make([]byte, unix.CmsgSpace(descriptorSize))
	n, rightsLen, _, _, err := c.Conn.ReadMsgUnix(text, rights)
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return -1, fmt.Errorf("a socket of the cluster's network: %w", err)
	}
	return received(text[:n], rights[:rightsLen])
}

func received(text, rights []byte) (fd int, err error) {
	if len(rights) == 0 {
		return -1, errors.New(string(text))
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 || len(messages[0].Data) != descriptorSize {
		return -1, errors.New("what came is not one descriptor")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// handOut answers the channel until it ends.
func handOut(channel *net.UnixConn) error {
	request := make([]byte, 1)
	for {
		n, err := channel.Read(request)
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("channel: %w", err)
		}
		if err := sendSocket(channel); err != nil {
			return fmt.Errorf("channel: %w", err)
		}
	}
}

func sendSocket(channel *net.UnixConn) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		_, err = channel.Write([]byte("no socket of the cluster's network: " + err.Error()))
		return err
	}
	_, _, err = channel.WriteMsgUnix([]byte{'s'}, unix.UnixRights(fd), nil)
	return errors.Join(err, unix.Close(fd))
}
