// Package gossip is one pool of agents that know of each other, on hashicorp/memberlist.
//
//	pool, err := gossip.Start(gossip.Config{Host: host, Name: "a", …})
//	for _, m := range pool.Members() { … }
//	<-pool.Changed()
//
// memberlist forgets dead members, so a partition that outlasts its memory would never heal by
// itself: the pool remembers every member and keeps trying to reconnect to those not alive.
package gossip

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"faultline/nodes"
)

// Config is how to start a pool.
type Config struct {
	Host      nodes.Host
	Name      string
	Bind      netip.AddrPort
	Advertise netip.AddrPort
	Tags      Tags
	Seeds     []netip.AddrPort // to join through; this node's own is skipped
	// MoreSeeds, if set, lists further ones, as they are now.
	MoreSeeds func() []netip.AddrPort
	Profile   Profile
	// Admit, if set, is an error for a member that does not belong into this pool.
	Admit func(name string, tags Tags) error
	// Forgets is a defect: members that failed are left to themselves.
	Forgets bool
}

// Pool is this node's view of the members.
type Pool struct {
	config Config
	log    *slog.Logger
	list   *memberlist.Memberlist
	table  *table
	meta   *delegate
	coords *coordinates
	stop   chan struct{}
	loops  sync.WaitGroup
	once   sync.Once
}

// Start opens the sockets and starts to join the other agents.
func Start(c Config) (*Pool, error) {
	meta, err := c.Tags.Encode()
	if err != nil {
		return nil, err
	}
	if len(meta) > memberlist.MetaMaxSize {
		return nil, fmt.Errorf("gossip: tags of %d bytes, %d fit", len(meta), memberlist.MetaMaxSize)
	}
	t, err := newTransport(c.Host, c.Bind, c.Advertise)
	if err != nil {
		return nil, err
	}
	p := &Pool{config: c, log: c.Host.Log(), table: newTable(c.Host.Log()), stop: make(chan struct{}), meta: &delegate{}}
	p.meta.tags.Store(&meta)
	if p.coords, err = newCoordinates(); err != nil {
		return nil, errors.Join(err, t.Shutdown())
	}
	p.list, err = memberlist.Create(p.memberlistConfig(t))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), t.Shutdown())
	}
	p.loops.Go(p.reconnect)
	return p, nil
}

func (p *Pool) memberlistConfig(t *transport) *memberlist.Config {
	c := p.config.Profile.base()
	p.config.Profile.edit(c)
	c.Name = p.config.Name
	c.Transport = t
	c.BindAddr, c.BindPort = p.config.Bind.Addr().String(), int(p.config.Bind.Port())
	c.AdvertiseAddr, c.AdvertisePort = p.config.Advertise.Addr().String(), int(p.config.Advertise.Port())
	c.Delegate = p.meta
	c.Events = p.table
	c.Ping = p.coords
	if p.config.Admit != nil {
		c.Alive, c.Merge = admission(p.config.Admit), admission(p.config.Admit)
	}
	c.DeadNodeReclaimTime = 5 * time.Second // a node may come back with another address
	c.Logger = nil
	c.LogOutput = logWriter{p.log}
	return c
}

// Members lists every member that was ever seen, by name.
func (p *Pool) Members() []Member { return p.table.members() }

// Changed is closed when the members are no longer what they are now.
func (p *Pool) Changed() <-chan struct{} { return p.table.changed() }

// Announce announces that this node is about to leave, so that the others take its silence for
// that. It waits until the announcement is sent, or for the timeout.
func (p *Pool) Announce(timeout time.Duration) error {
	tags := p.config.Tags
	tags.Leaving = true
	meta, err := tags.Encode()
	if err != nil {
		return err
	}
	p.meta.tags.Store(&meta)
	return p.list.UpdateNode(timeout)
}

// Leave broadcasts that this node leaves on purpose. It waits until the message is sent, or for
// the timeout.
func (p *Pool) Leave(timeout time.Duration) error { return p.list.Leave(timeout) }

// Shutdown closes the sockets without a message to the others.
func (p *Pool) Shutdown() (err error) {
	p.once.Do(func() {
		close(p.stop)
		err = p.list.Shutdown()
		p.loops.Wait()
	})
	return err
}

// reconnect joins whoever should be a member and is not known alive: seeds that nobody has
// been seen at, and members that failed. Each address is tried by a goroutine of its
// own, so that one that does not answer holds up nobody.
func (p *Pool) reconnect() {
	busy := map[netip.AddrPort]bool{}
	done := make(chan netip.AddrPort)
	tick := time.NewTimer(0)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			for range busy {
				<-done
			}
			return
		case addr := <-done:
			delete(busy, addr)
		case <-tick.C:
			targets := p.reconnectTargets()
			tick.Reset(p.reconnectPause(len(targets) > 0))
			for _, addr := range targets {
				if busy[addr] {
					continue
				}
				busy[addr] = true
				go func() {
					if _, err := p.list.Join([]string{addr.String()}); err != nil {
						p.log.Debug("gossip: reconnect", "addr", addr, "error", err)
					}
					done <- addr
				}()
			}
		}
	}
}

// joinInterval is the interval while this node has met no other yet.
const joinInterval = time.Second

func (p *Pool) reconnectPause(missing bool) time.Duration {
	every := p.config.Profile.ReconnectInterval
	if missing && len(p.table.members()) < 2 {
		return min(joinInterval, every)
	}
	return every
}

// reconnectTargets lists the addresses to connect to.
func (p *Pool) reconnectTargets() []netip.AddrPort {
	known := map[netip.AddrPort]Status{p.config.Advertise: Alive}
	for _, m := range p.table.members() {
		// Two names at one address: the one that lives there now counts.
		if known[m.Addr] != Alive {
			known[m.Addr] = m.Status
		}
	}
	var out []netip.AddrPort
	for addr, status := range known {
		if status == Failed && !p.config.Forgets {
			out = append(out, addr)
		}
	}
	seeds := p.config.Seeds
	if p.config.MoreSeeds != nil {
		seeds = append(slices.Clip(seeds), p.config.MoreSeeds()...)
	}
	for _, seed := range seeds {
		if known[seed] == "" {
			out = append(out, seed)
			known[seed] = Failed // once is enough
		}
	}
	return out
}

// delegate gives memberlist this node's tags; it has no messages of its own.
type delegate struct{ tags atomic.Pointer[[]byte] }

func (d *delegate) NodeMeta(int) []byte           { return *d.tags.Load() }
func (*delegate) NotifyMsg([]byte)                {}
func (*delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (*delegate) LocalState(bool) []byte          { return nil }
func (*delegate) MergeRemoteState([]byte, bool)   {}
