package injector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

const (
	mostHeld      = 1 << 16 // packets; the kernel drops those beyond
	socketBuffer  = 16 << 20
	readBatch     = 64 // packets that are read before those that are due are let through
	verdictBatch  = 32 << 10
	netlinkPacket = 1 << 17 // no message is longer

	sourceAt, destinationAt = 12, 16 // in an IPv4 header
)

// queue holds the packets that the rules hand to it and lets them through when they are
// due. One goroutine, which never leaves its thread, waits in ppoll for packets and for
// the next deadline: that keeps deadlines to a tenth of a millisecond, where the timers
// of Go are ten times coarser. Held packets stay in the kernel.
type queue struct {
	socket int // nfnetlink
	wake   int // eventfd: a write ends run
	epoch  time.Time
	done   chan struct{} // closed when run has ended

	mu      sync.Mutex
	shapers map[[4]byte]*shaper // by source
	doubles int                 // raw socket by which packets are doubled; -1 until one is asked for
	failed  error               // why run ended, if nobody closed the queue
	overrun int                 // how often the kernel had no room to hand a packet over
	thread  int                 // that run is locked to

	held  held // the rest belongs to run
	count uint64
	out   []byte
}

// errQueueEnded says that packets have been stuck, since an error that nobody expected.
var errQueueEnded = errors.New("the packet queue has ended")

// openQueue binds the queue of the namespace in which the calling thread is.
func openQueue() (*queue, error) {
	q := &queue{epoch: time.Now(), done: make(chan struct{}), doubles: -1, shapers: map[[4]byte]*shaper{}}
	var err error
	q.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("packet queue: %w", err)
	}
	q.socket, err = boundSocket()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("packet queue: %w", err), unix.Close(q.wake))
	}
	go q.run()
	return q, nil
}

// boundSocket is a socket that does not block, to which the kernel hands the packets of the queue.
// The connection that sets it up is given up then: every packet would wake Go's poller too,
// while run waits by itself.
func boundSocket() (int, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	if err := configure(conn); err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, errors.Join(err, conn.Close())
	}
	var socket int
	var dupErr error
	err = raw.Control(func(fd uintptr) { socket, dupErr = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return socket, errors.Join(err, dupErr, conn.Close())
}

func configure(conn *netlink.Conn) error {
	if err := conn.SetReadBuffer(socketBuffer); err != nil {
		return err
	}
	messages, err := bindMessages(mostHeld)
	if err != nil {
		return err
	}
	for _, message := range messages {
		if _, err := conn.Execute(message); err != nil {
			return err
		}
	}
	return nil
}

// set replaces what happens to packets. A link that stays as it was goes on where it was.
// Packets that are held keep the fate that they have.
func (q *queue) set(shapes map[netip.Addr]faults.Link) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed != nil {
		return fmt.Errorf("%w: %w", errQueueEnded, q.failed)
	}
	next := map[[4]byte]*shaper{}
	for peer, shape := range shapes {
		if shape.Duplicate > 0 && q.doubles < 0 {
			raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
			if err != nil {
				return fmt.Errorf("duplicates need a raw socket (CAP_NET_RAW): %w", err)
			}
			q.doubles = raw
		}
		was := q.shapers[peer.As4()]
		if was == nil || was.Link != shape {
			was = newShaper(shape)
		}
		next[peer.As4()] = was
	}
	q.shapers = next
	return nil
}

// close gives the queue up; the kernel drops what is held.
func (q *queue) close() error {
	one := binary.NativeEndian.AppendUint64(nil, 1)
	if _, err := unix.Write(q.wake, one); err != nil {
		return fmt.Errorf("packet queue: %w", err)
	}
	<-q.done
	err := errors.Join(unix.Close(q.socket), unix.Close(q.wake))
	if q.doubles >= 0 {
		err = errors.Join(err, unix.Close(q.doubles))
	}
	return err
}

func (q *queue) run() {
	runtime.LockOSThread() // and never unlocked: the thread, with its timer slack, ends here
	defer close(q.done)
	q.mu.Lock()
	q.thread = unix.Gettid()
	q.mu.Unlock()
	err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	buffer := make([]byte, netlinkPacket)
	for closed := false; !closed && err == nil; {
		if closed, err = q.wait(); err == nil {
			err = errors.Join(q.read(buffer), q.release())
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failed = err
}

func (q *queue) now() time.Duration { return time.Since(q.epoch) }

// wait returns when there are packets, one is due, or the queue is closed.
func (q *queue) wait() (closed bool, err error) {
	var timeout *unix.Timespec
	if len(q.held) > 0 {
		left := unix.NsecToTimespec(int64(max(0, q.held[0].at-q.now())))
		timeout = &left
	}
	fds := []unix.PollFd{{Fd: int32(q.socket), Events: unix.POLLIN}, {Fd: int32(q.wake), Events: unix.POLLIN}}
	if _, err := unix.Ppoll(fds, timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("ppoll: %w", err)
	}
	return fds[1].Revents != 0, nil
}

// read takes a batch of packets from the kernel and decides about them.
func (q *queue) read(buffer []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range readBatch {
		n, err := unix.Read(q.socket, buffer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS): // the kernel has dropped packets
			q.overrun++
			continue
		case err != nil:
			return err
		}
		for data := buffer[:n]; len(data) > 0; {
			var p queued
			if p, data, err = nextQueued(data); err != nil {
				return err
			}
			if p.errno == 0 && !p.ack { // the kernel reports errors of verdicts on packets that are gone
				if err := q.decide(p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// decide about one packet: drop it, hold it, or let it through at once. q.mu is held.
func (q *queue) decide(p queued) error {
	var source [4]byte
	if len(p.packet) >= sourceAt+4 {
		copy(source[:], p.packet[sourceAt:])
	}
	shaper := q.shapers[source]
	if shaper == nil { // healed meanwhile
		return q.verdict(p.id, verdictAccept, nil)
	}
	now := q.now()
	f := shaper.fate(now, len(p.packet))
	if f.lost {
		return q.verdict(p.id, verdictDrop, nil)
	}
	q.count++
	h := heldPacket{at: f.at, order: q.count, id: p.id, doubled: f.doubled}
	if f.doubled || f.flip != 0 {
		h.content = bytes.Clone(p.packet)
		h.changed = f.flip != 0 && flipBit(h.content, f.flip)
	}
	if h.at <= now {
		return q.letThrough(h)
	}
	q.held.push(h)
	return nil
}

// release lets through what is due.
func (q *queue) release() error {
	for len(q.held) > 0 && q.held[0].at <= q.now() {
		if err := q.letThrough(q.held.pop()); err != nil {
			return err
		}
	}
	return q.flush()
}

func (q *queue) letThrough(h heldPacket) error {
	instead := h.content
	if !h.changed {
		instead = nil
	}
	if err := q.verdict(h.id, verdictAccept, instead); err != nil || !h.doubled {
		return err
	}
	if err := q.flush(); err != nil { // the original comes first
		return err
	}
	q.double(h.content)
	return nil
}

// double sends a packet to ourselves. It arrives on the loopback interface, whose packets
// no rule hands to the queue, with the route that it was sent by, so that its source is
// not examined. It may be lost, as any packet: connection tracking, where a container
// engine has set it up, now and then refuses one that it takes for a clash (EPERM). That
// must not stop the queue, and that too few are doubled is for the probes to notice.
func (q *queue) double(packet []byte) {
	to := &unix.SockaddrInet4{}
	copy(to.Addr[:], packet[destinationAt:])
	_ = unix.Sendto(q.doubles, packet, 0, to)
}

func (q *queue) verdict(id, verdict uint32, instead []byte) error {
	q.out = appendVerdict(q.out, id, verdict, instead)
	if len(q.out) < verdictBatch {
		return nil
	}
	return q.flush()
}

// flush sends all verdicts in one call.
func (q *queue) flush() error {
	if len(q.out) == 0 {
		return nil
	}
	err := unix.Sendto(q.socket, q.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	q.out = q.out[:0]
	if err != nil {
		return fmt.Errorf("verdict: %w", err)
	}
	return nil
}
