package injector

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// line is the loopback interface of a namespace of its own, with links that are shaped
// on it: what 127.0.0.1 sends to itself is packets of a peer.
type line struct {
	links    *links
	from, to *net.UDPConn
}

var self = netip.MustParseAddr("127.0.0.1")

func newLine(t testing.TB) *line {
	ownNetns(t)
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(control)
	request, err := unix.NewIfreq("lo")
	require.NoError(t, err)
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	require.NoError(t, unix.IoctlIfreq(control, unix.SIOCSIFFLAGS, request))

	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	require.NoError(t, err)
	t.Cleanup(func() { own.Close() })
	l := &line{}
	l.links, err = newLinks(int(own.Fd()))
	require.NoError(t, err)
	l.links.except = 0
	l.to, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	require.NoError(t, enlarge(l.to))
	l.from, err = net.DialUDP("udp4", nil, l.to.LocalAddr().(*net.UDPAddr))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, errors.Join(l.links.close(), l.from.Close(), l.to.Close()))
	})
	return l
}

func (l *line) shape(t testing.TB, s faults.Link) {
	shapes := map[netip.Addr]faults.Link{self: s}
	if s == (faults.Link{}) {
		shapes = nil
	}
	require.NoError(t, l.links.set(shapes))
}

// read tells what comes next, or that nothing does for a while.
func (l *line) read(t testing.TB, patience time.Duration) (text string, ok bool) {
	buffer := make([]byte, 2048)
	require.NoError(t, l.to.SetReadDeadline(time.Now().Add(patience)))
	n, err := l.to.Read(buffer)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false
	}
	require.NoError(t, err)
	return string(buffer[:n]), true
}

func (l *line) send(t testing.TB, text string) {
	_, err := l.from.Write([]byte(text))
	require.NoError(t, err)
}

const forEver = 20 * time.Second

func TestPacketsAreHeldAndLetThroughInOrder(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Delay: 50 * ms})
	began := time.Now()
	for i := range 5 {
		l.send(t, fmt.Sprint(i))
	}
	for i := range 5 {
		got, ok := l.read(t, forEver)
		require.True(t, ok)
		require.Equal(t, fmt.Sprint(i), got)
	}
	require.GreaterOrEqual(t, time.Since(began), 50*ms)
}

// TestAChangeOfRulesKeepsWhatIsHeld: the chain stays, so the kernel does not throw away
// what is on its way; and a link that is healed is as if nothing had been.
func TestAChangeOfRulesKeepsWhatIsHeld(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Delay: 300 * ms})
	for range 50 {
		l.send(t, "held")
	}
	require.NoError(t, l.links.set(map[netip.Addr]faults.Link{peer1: {Drop: true}, self: {Delay: 300 * ms}, peer2: {Loss: 1}}))
	l.shape(t, faults.Link{})
	l.send(t, "free")
	counts := map[string]int{}
	for range 51 {
		got, ok := l.read(t, forEver)
		require.True(t, ok)
		counts[got]++
	}
	require.Equal(t, map[string]int{"held": 50, "free": 1}, counts)
}

func TestWhatIsLostNeverArrives(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Loss: 1})
	l.send(t, "lost")
	_, ok := l.read(t, 200*ms)
	require.False(t, ok)
}

func TestADamagedDatagramArrives(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Corrupt: 1})
	l.send(t, strings.Repeat("x", 100))
	got, ok := l.read(t, forEver)
	require.True(t, ok, "a datagram arrives, with no checksum")
	require.Equal(t, 1, flipped([]byte(strings.Repeat("x", 100)), []byte(got)))
}

// TestADoubleThatFailsIsLost: the original arrives, and the queue goes on.
func TestADoubleThatFailsIsLost(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Duplicate: 1})
	q := l.links.queue
	q.mu.Lock()
	require.NoError(t, unix.Dup3(q.wake, q.doubles, unix.O_CLOEXEC)) // which is no socket
	q.mu.Unlock()
	for i := range 3 {
		l.send(t, fmt.Sprint(i))
		got, ok := l.read(t, forEver)
		require.True(t, ok)
		require.Equal(t, fmt.Sprint(i), got)
	}
}

func TestAQueueThatEndedIsOpenedAgain(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Delay: ms})
	_, err := unix.Write(l.links.queue.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	require.NoError(t, err)
	<-l.links.queue.done
	l.links.queue.failed = errors.New("by a test")
	require.ErrorIs(t, l.links.set(map[netip.Addr]faults.Link{self: {Delay: 2 * ms}}), errQueueEnded)
	l.shape(t, faults.Link{Delay: 2 * ms})
	l.send(t, "again")
	got, ok := l.read(t, forEver)
	require.True(t, ok)
	require.Equal(t, "again", got)
}

// TestTCPIsNeverHandedAWrongByte: a fifth of all packets is damaged, and the stream is
// whole, because the kernel throws them away and sends them again.
func TestTCPIsNeverHandedAWrongByte(t *testing.T) {
	l := newLine(t)
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	to, err := net.Dial("tcp4", listener.Addr().String())
	require.NoError(t, err)
	defer to.Close()
	from, err := listener.Accept()
	require.NoError(t, err)
	defer from.Close()
	l.shape(t, faults.Link{Corrupt: 0.2, Seed: 4})
	text := strings.Repeat("0123456789abcdef", 10_000)
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write([]byte(text))
		sent <- err
	}()
	require.NoError(t, to.SetReadDeadline(time.Now().Add(3*forEver)))
	for got := 0; got < len(text); {
		buffer := make([]byte, 4096)
		n, err := to.Read(buffer)
		require.NoError(t, err)
		require.Equal(t, text[got:got+n], string(buffer[:n]))
		got += n
	}
	require.NoError(t, <-sent)
}

func TestAQueueInUseIsRefused(t *testing.T) {
	l := newLine(t)
	l.shape(t, faults.Link{Delay: ms})
	_, err := openQueue()
	require.ErrorIs(t, err, unix.EPERM)
	require.NoError(t, l.links.queue.close())
	second, err := openQueue()
	require.NoError(t, err)
	l.links.queue = second
	require.NoError(t, second.set(map[netip.Addr]faults.Link{self: {Delay: ms}}))
	l.send(t, "through the second")
	got, ok := l.read(t, forEver)
	require.True(t, ok)
	require.Equal(t, "through the second", got)
}

// BenchmarkQueue passes packets through the queue as fast as they go, all delayed by a
// millisecond, 2000 on their way at a time, and tells the packets a second and the CPU
// time of the queue's thread for each, which holds the kernel's work of handing it over
// and of delivering it.
func BenchmarkQueue(b *testing.B) {
	for _, s := range []faults.Link{{Delay: ms}, {Delay: ms, Jitter: ms, Scramble: true, Reorder: 0.1, Corrupt: 0.1, Seed: 1}} {
		b.Run(fmt.Sprintf("corrupt %v", s.Corrupt), func(b *testing.B) {
			l := newLine(b)
			l.shape(b, s)
			payload, buffer := make([]byte, 200), make([]byte, 2048)
			before := cpuOf(b, l.links.queue)
			const window = 2000
			b.ResetTimer()
			for sent, got := 0, 0; got < b.N; got++ {
				for sent < b.N && sent-got < window {
					_, err := l.from.Write(payload)
					require.NoError(b, err)
					sent++
				}
				if _, err := l.to.Read(buffer); err != nil {
					require.NoError(b, err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
			b.ReportMetric(float64((cpuOf(b, l.links.queue)-before).Nanoseconds())/1000/float64(b.N), "µs-cpu/packet")
			require.Zero(b, l.links.overrun())
		})
	}
}

func cpuOf(b *testing.B, q *queue) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", q.thread))
	require.NoError(b, err)
	var ns time.Duration
	_, err = fmt.Sscan(string(text), &ns)
	require.NoError(b, err)
	return ns
}
