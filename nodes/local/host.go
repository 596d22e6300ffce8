//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes/local/space"
	"faultline/nodes/pods"
)

// gateway is the bridge's address. The network is private, so any will do.
var gateway = netip.MustParsePrefix("10.222.0.1/16")

// host is the harness's hold on a cluster's namespaces.
type host struct {
	cmd        *exec.Cmd
	complaints pods.Complaints
	ended      chan struct{} // closed when PID 1, and so everything, has ended
	pods       []*hostPod

	mu      sync.Mutex // one asks for a socket at a time
	channel space.Channel
}

// hostPod is what a pod's PID 1 can be reached by.
type hostPod struct {
	control    *os.File // a stream to its injector
	supervisor *os.File // of its node's process
	taken      atomic.Bool
}

// readyLimit is for all pods to be there.
const readyLimit = 20 * time.Second

// open starts to make the namespaces and the pods; program is the injector. Pods tell
// their supervisors when they are ready.
func open(ctx context.Context, program string, config space.Config, logs []string) (*host, error) {
	h := &host{ended: make(chan struct{})}
	theirs, err := h.connect(config, logs)
	defer closeAll(theirs)
	if err != nil {
		return nil, errors.Join(err, h.close(ctx))
	}
	if err := h.execute(program, config, theirs); err != nil {
		return nil, errors.Join(explain(err), h.close(ctx))
	}
	return h, nil
}

// connect makes the descriptors that the cluster inherits, and the harness's ends of them.
func (h *host) connect(config space.Config, logs []string) (theirs []*os.File, err error) {
	ours, channel, err := socketPair(unix.SOCK_SEQPACKET)
	if err != nil {
		return nil, err
	}
	defer ours.Close() // a copy of it stays
	theirs = []*os.File{channel}
	conn, err := net.FileConn(ours)
	if err != nil {
		return theirs, err
	}
	h.channel = space.Channel{Conn: conn.(*net.UnixConn)}
	for i := range config.Pods {
		p := &hostPod{}
		h.pods = append(h.pods, p)
		for _, end := range []**os.File{&p.control, &p.supervisor} {
			ours, inherited, err := socketPair(unix.SOCK_STREAM)
			if err != nil {
				return theirs, err
			}
			*end = ours
			theirs = append(theirs, inherited)
		}
		log, err := os.OpenFile(logs[i], os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return theirs, err
		}
		theirs = append(theirs, log)
	}
	return theirs, nil
}

// execute starts PID 1: in a user namespace of its own, in which it has all capabilities;
// where that is refused, root can do without.
func (h *host) execute(program string, config space.Config, inherited []*os.File) error {
	args, err := config.Command()
	if err != nil {
		return err
	}
	const others = unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID
	user := &syscall.SysProcAttr{
		Setsid:      true,
		Cloneflags:  unix.CLONE_NEWUSER | others,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	start := func(attr *syscall.SysProcAttr) error {
		h.cmd = exec.Command(program, args...)
		h.cmd.Env = []string{}
		h.cmd.Dir = "/"
		h.cmd.ExtraFiles = inherited
		h.cmd.Stderr = &h.complaints
		h.cmd.SysProcAttr = attr
		return h.cmd.Start()
	}
	err = start(user)
	if err != nil && os.Geteuid() == 0 {
		err = start(&syscall.SysProcAttr{Setsid: true, Cloneflags: others})
	}
	if err != nil {
		h.cmd = nil
		return err
	}
	go func() {
		defer close(h.ended)
		h.cmd.Wait() // why it ended is what it complains about
	}()
	return nil
}

// gone explains an error of a stream whose other end has closed.
func (h *host) gone(err error) error {
	select {
	case <-h.ended: // so that it has said all that it had to say
	case <-time.After(time.Second):
	}
	if said := h.complaints.String(); said != "" {
		return errors.New(said)
	}
	return fmt.Errorf("its stream has ended: %w", err)
}

// dial connects to an address of the pods' network, from the bridge. Errors of the
// connection are the kernel's.
func (h *host) dial(ctx context.Context, addr netip.AddrPort) (*net.TCPConn, error) {
	fd, err := h.socket()
	if err != nil {
		return nil, err
	}
	return connect(ctx, fd, addr)
}

const socketLimit = 10 * time.Second

func (h *host) socket() (fd int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.channel.Conn.SetDeadline(time.Now().Add(socketLimit)); err != nil {
		return -1, err
	}
	return h.channel.Socket()
}

const endLimit = 10 * time.Second

// close ends everything in the namespaces, and waits for that.
func (h *host) close(ctx context.Context) error {
	for _, p := range h.pods {
		closeAll([]*os.File{p.control, p.supervisor})
	}
	if h.channel.Conn != nil {
		h.channel.Conn.Close() // once is enough; the second time it is closed
	}
	if h.cmd == nil {
		return nil
	}
	select {
	case <-h.ended:
		return nil
	case <-time.After(endLimit):
	case <-ctx.Done():
	}
	if err := h.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the cluster's namespaces: %w", err)
	}
	select {
	case <-h.ended:
		return nil
	case <-time.After(endLimit):
		return fmt.Errorf("the cluster's namespaces have not ended %v after SIGKILL to process %d", endLimit, h.cmd.Process.Pid)
	}
}

// takeControl is the stream to a pod's injector. There is one only: that is PID 1 of the
// pod, which ends with it.
func (p *hostPod) takeControl() (io.ReadWriteCloser, error) {
	if p.taken.Swap(true) {
		return nil, errors.New("the pod is gone")
	}
	return p.control, nil
}

// socketPair makes two connected unix sockets: one that the runtime's poller waits for,
// and one to be inherited.
func socketPair(kind int) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "inherited")
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, theirs.Close(), unix.Close(fds[0]))
	}
	return os.NewFile(uintptr(fds[0]), "channel"), theirs, nil
}

// closeAll closes files that may be nil or closed, and of which nothing was written to disk.
func closeAll(all []*os.File) {
	for _, f := range all {
		if f != nil {
			f.Close()
		}
	}
}
