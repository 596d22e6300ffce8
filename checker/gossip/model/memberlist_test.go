package model

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"

	"faultline/checker/gossip"
)

// network is what memberlist runs on in virtual time: each packet is lost or takes the delay; streams take what gossip.ExchangeTime draws.
type network struct {
	mu    sync.Mutex
	loss  float64
	delay time.Duration
	rng   *rand.Rand
	ends  map[string]*endpoint

	packets, bytes int
}

// endpoint is memberlist's transport.
type endpoint struct {
	net     *network
	addr    string
	ip      net.IP
	packets chan *memberlist.Packet
	streams chan net.Conn
}

const port = 7946

func (n *network) open(i int) *endpoint {
	ip := net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)).To4()
	e := &endpoint{net: n, ip: ip, addr: fmt.Sprintf("%s:%d", ip, port), packets: make(chan *memberlist.Packet, 4096), streams: make(chan net.Conn, 256)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ends[e.addr] = e
	return e
}

func (e *endpoint) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return e.ip, port, nil }
func (e *endpoint) PacketCh() <-chan *memberlist.Packet                 { return e.packets }
func (e *endpoint) StreamCh() <-chan net.Conn                           { return e.streams }
func (e *endpoint) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	return e.WriteTo(b, to.Addr)
}
func (e *endpoint) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return e.DialTimeout(to.Addr, timeout)
}

func (e *endpoint) WriteTo(b []byte, to string) (time.Time, error) {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	e.net.packets++
	e.net.bytes += len(b) + 28
	if e.net.rng.Float64() >= e.net.loss {
		p := &memberlist.Packet{Buf: slices.Clone(b), From: &net.UDPAddr{IP: e.ip, Port: port}}
		time.AfterFunc(e.net.delay, func() {
			e.net.mu.Lock()
			there := e.net.ends[to]
			e.net.mu.Unlock()
			if there != nil {
				p.Timestamp = time.Now()
				select {
				case there.packets <- p:
				default:
				}
			}
		})
	}
	return time.Now(), nil
}

func (e *endpoint) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	e.net.mu.Lock()
	took := gossip.ExchangeTime(e.net.rng.Float64, e.net.loss, e.net.delay)
	there := e.net.ends[to]
	e.net.mu.Unlock()
	if there == nil || took > timeout {
		time.Sleep(min(timeout, took))
		return nil, os.ErrDeadlineExceeded
	}
	time.Sleep(took)
	here, far := net.Pipe()
	select {
	case there.streams <- far:
		return here, nil
	default:
		return nil, os.ErrDeadlineExceeded
	}
}

func (e *endpoint) Shutdown() error {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	delete(e.net.ends, e.addr)
	return nil
}

// node is a member, and what it was told.
type node struct {
	*memberlist.Memberlist
	meta    []byte
	updated func(at time.Time)
	left    func(at time.Time)
}

func (d *node) NodeMeta(int) []byte              { return d.meta }
func (*node) NotifyMsg([]byte)                   {}
func (*node) GetBroadcasts(int, int) [][]byte    { return nil }
func (*node) LocalState(bool) []byte             { return nil }
func (*node) MergeRemoteState([]byte, bool)      {}
func (*node) NotifyJoin(*memberlist.Node)        {}
func (d *node) NotifyUpdate(*memberlist.Node)    { d.updated(time.Now()) }
func (d *node) NotifyLeave(who *memberlist.Node) { d.left(time.Now()) }

type real struct {
	updates, first, dead []time.Duration
	packets              float64 // a member and second, while nothing happens
	bytes                float64
}

// measure has a pool of memberlist make changes, and then lose members, one after the other.
func measure(t *testing.T, n int, loss float64, updates, crashes int, seed uint64) (r real) {
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 1))
		net := &network{delay: time.Millisecond, rng: rand.New(rand.NewPCG(seed, 2)), ends: map[string]*endpoint{}}
		var mu sync.Mutex
		var knew, died []time.Time
		nodes := make([]*node, n)
		for i := range nodes {
			// Both tickers of a member begin when it does; the stagger that memberlist adds does not move them.
			time.Sleep(time.Duration(rng.Float64() * float64(time.Second) * 1.7 / float64(min(n, 10))))
			d := &node{
				updated: func(at time.Time) { mu.Lock(); knew = append(knew, at); mu.Unlock() },
				left:    func(at time.Time) { mu.Lock(); died = append(died, at); mu.Unlock() },
			}
			c := memberlist.DefaultLANConfig()
			c.Name, c.Transport, c.LogOutput, c.Delegate, c.Events = fmt.Sprintf("member%04d", i), net.open(i), io.Discard, d, d
			list, err := memberlist.Create(c)
			require.NoError(t, err)
			d.Memberlist = list
			nodes[i] = d
			if i > 0 {
				_, err = list.Join([]string{"member0000/10.0.0.0:7946"})
				require.NoError(t, err)
			}
		}
		time.Sleep(20 * time.Second)
		net.mu.Lock()
		net.packets, net.bytes = 0, 0
		net.mu.Unlock()
		time.Sleep(10 * time.Second)
		net.mu.Lock()
		r.packets, r.bytes = float64(net.packets)/10/float64(n), float64(net.bytes)/10/float64(n)
		net.loss = loss
		net.mu.Unlock()
		for u := range updates {
			time.Sleep(time.Duration(rng.Float64() * float64(time.Second)))
			begin := time.Now()
			mu.Lock()
			knew = nil
			mu.Unlock()
			d := nodes[rng.IntN(n)]
			d.meta = fmt.Append(nil, u)
			go d.UpdateNode(0)
			time.Sleep(3 * time.Second)
			mu.Lock()
			if len(knew) == n { // gossip has left nobody out
				r.updates = append(r.updates, slices.MaxFunc(knew, time.Time.Compare).Sub(begin))
			}
			mu.Unlock()
		}
		for range crashes {
			time.Sleep(time.Duration(rng.Float64() * float64(time.Second)))
			begin := time.Now()
			mu.Lock()
			died = nil
			mu.Unlock()
			last := nodes[len(nodes)-1]
			nodes = nodes[:len(nodes)-1]
			require.NoError(t, last.Shutdown())
			time.Sleep(16 * time.Second)
			mu.Lock()
			if len(died) >= len(nodes) { // false deaths would come on top
				r.first = append(r.first, slices.MinFunc(died, time.Time.Compare).Sub(begin))
				r.dead = append(r.dead, slices.MaxFunc(died, time.Time.Compare).Sub(begin))
			}
			mu.Unlock()
		}
		for _, d := range nodes {
			require.NoError(t, d.Shutdown())
		}
		time.Sleep(time.Minute)
	})
	return r
}

// all, when it is "all", has the tests take longer.
const all = "FAULTLINE_SELF"

// TestTheModelIsMemberlist compares medians: within 15 %, and what the few samples that there are may be off by chance,
// which memberlist's goroutines make anew every time: four standard errors, so that it fails for a reason.
func TestTheModelIsMemberlist(t *testing.T) {
	trials := []trial{{members: 10, pools: 4, updates: 12, crashes: 3}}
	if os.Getenv(all) == "all" {
		trials = []trial{{members: 10, pools: 20, updates: 20, crashes: 3}, {members: 100, pools: 4, updates: 20, crashes: 10}, {members: 1000, pools: 1, updates: 10, crashes: 6},
			{members: 10, loss: .2, pools: 20, updates: 20, crashes: 3}, {members: 100, loss: .1, pools: 4, updates: 20, crashes: 10}}
	}
	for _, c := range trials {
		t.Run(fmt.Sprintf("%d at loss %v", c.members, c.loss), func(t *testing.T) {
			var measured real
			for seed := range c.pools {
				r := measure(t, c.members, c.loss, c.updates, c.crashes, uint64(seed))
				measured.updates = append(measured.updates, r.updates...)
				measured.first = append(measured.first, r.first...)
				measured.dead = append(measured.dead, r.dead...)
			}
			m := crashesAndUpdates(t, Config{Timing: gossip.LAN(), Members: c.members, Loss: c.loss, Delay: time.Millisecond}, 60+20000/c.members)
			alike(t, "an update everywhere", measured.updates, m.Updates)
			alike(t, "a death at the first", measured.first, m.First)
			alike(t, "a death everywhere", measured.dead, m.Dead)
		})
	}
}

type trial struct {
	members, pools, updates, crashes int
	loss                             float64
}

func alike(t *testing.T, what string, measured, modelled []time.Duration) {
	t.Helper()
	got, want := gossip.Measured(modelled).P50, gossip.Measured(measured).P50
	sd := 0.0
	mean := average(measured)
	for _, d := range measured {
		sd += math.Pow((d-mean).Seconds(), 2) / float64(len(measured)-1)
	}
	slack := .15*want.Seconds() + 4*1.25*math.Sqrt(sd/float64(len(measured)))
	t.Logf("%s: memberlist %v (of %d), the model %v: %+.0f %%", what, want, len(measured), got, 100*(got.Seconds()/want.Seconds()-1))
	require.InDelta(t, want.Seconds(), got.Seconds(), slack, what)
}

func average(all []time.Duration) (sum time.Duration) {
	for _, d := range all {
		sum += d / time.Duration(len(all))
	}
	return sum
}

func TestSizesOfPackets(t *testing.T) {
	r := measure(t, 10, 0, 0, 0, 1)
	require.InDelta(t, 2, r.packets, .1, "a ping and an ack a second")
	require.InEpsilon(t, gossip.PingBytes+gossip.AckBytes, r.bytes, .05)
}
