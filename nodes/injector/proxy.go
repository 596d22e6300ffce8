package injector

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// ProxyPort is the TCP port of a guarded pod at which those who know its secret reach the
// node's API. All others outside the cluster reach nothing (see Options.Guarded).
//
// A client sends the secret, and waits. The proxy connects to the node, and answers one byte:
// connected, after which it passes on what comes from either side, refused, or failed, after
// which comes a text that says why. So a client knows, before it has sent anything of its own,
// that the node's kernel has accepted the connection, as if it had made it itself, also where an
// engine's proxy, which accepts everything, is on the way.
const ProxyPort = 19997

const (
	connected = 'c'
	refused   = 'r'
	failed    = 'f'

	maxProxyText = 512 // bytes
)

// Secret opens the proxy of a pod.
type Secret [32]byte

// EnvSecret is the environment variable of a holder that has its Secret, in hexadecimal. The node
// cannot read that: the environment of a process is shown only to those who have all of its
// capabilities (proc_pid_environ(5)), and the node has fewer.
const EnvSecret = "FAULTLINE_SECRET"

// NewSecret draws one.
func NewSecret() (s Secret) {
	rand.Read(s[:]) // which never fails
	return s
}

// String is the secret for EnvSecret.
func (s Secret) String() string { return hex.EncodeToString(s[:]) }

// ParseSecret reads what String has written.
func ParseSecret(text string) (s Secret, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(s) {
		return s, fmt.Errorf("the secret in %s is not %d bytes in hexadecimal", EnvSecret, len(s))
	}
	return Secret(raw), nil
}

// ErrRefused is what the pod's kernel answers if the node does not listen.
var ErrRefused = fmt.Errorf("connect to the node: %w", syscall.ECONNREFUSED)

// DialProxy connects to a node's API by its pod's proxy at addr, HOST:PORT. That the pod's
// kernel refused the connection to the node is ErrRefused, a syscall.ECONNREFUSED as is that of a
// pod without a holder. Where an error is returned the node has received nothing.
func DialProxy(ctx context.Context, addr string, secret Secret) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	past := time.Unix(1, 0)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(past) }) // fails only if it is closed
	err = shakeHands(conn, secret)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the proxy of the pod at %s: %w", addr, err), conn.Close())
	}
	return conn, nil
}

func shakeHands(conn io.ReadWriter, secret Secret) error {
	if _, err := conn.Write(secret[:]); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	switch answer[0] {
	case connected:
		return nil
	case refused:
		return ErrRefused
	case failed:
		text, err := io.ReadAll(io.LimitReader(conn, maxProxyText))
		return errors.Join(errors.New(string(text)), err)
	}
	return fmt.Errorf("%q is no answer", answer)
}
