//go:build linux

package disk

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"faultline/nodes/faults"
)

// condition is a [faults.Disk] that calls can wait on.
type condition struct {
	mu      sync.Mutex
	now     faults.Disk
	changed chan struct{} // closed at the next change
}

// Set brings the disk to this state at once, also for files that are open and for calls that wait.
// When it no longer lies, all that it has is durable: it makes good on its promises.
func (d *Disk) Set(s faults.Disk) error {
	if err := s.CheckBounds(); err != nil {
		return err
	}
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return ErrClosed
	}
	before := d.state.set(s)
	if before.Lie && !s.Lie {
		if err := d.keepAll(); err != nil {
			return fmt.Errorf("disk: %w", err)
		}
	}
	if (s.FailRead && !before.FailRead) || (s.SlowIO > 0 && before.SlowIO == 0) {
		d.dropCaches() // or open files would go on being read from memory
	}
	return nil
}

// keepAll makes durable all that is unsynced, but what a failed sync has dropped.
func (d *Disk) keepAll() error {
	d.gate.Lock()
	defer d.gate.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepNames()
	var dirs []*inode
	for _, n := range d.byID {
		if n.data != nil {
			if err := d.commit(n); err != nil {
				return err
			}
		}
		if n.group != nil {
			dirs = append(dirs, n)
		}
	}
	for _, dir := range dirs {
		d.settle(dir)
	}
	return nil
}

// State is what the disk was Set to last.
func (d *Disk) State() faults.Disk {
	s, _ := d.state.get()
	return s
}

func (c *condition) set(s faults.Disk) (before faults.Disk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.now = c.now, s
	close(c.changed)
	c.changed = make(chan struct{})
	return before
}

func (c *condition) get() (faults.Disk, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, c.changed
}

// close ends all waiting.
func (c *condition) close() {
	c.set(faults.Disk{})
}

// wait takes as long as delay of the state says, counted from its start; a change of the state
// counts at once. Signals of the caller do not shorten it, as they do not shorten an fsync of a real disk: a
// program that gets EINTR from fsync may give its data up (of Go's programs each does that is
// preempted meanwhile). It ends early, with EINTR that nobody sees, for a caller that is being killed, which
// the kernel does not let go before it has an answer.
func (c *condition) wait(cancel <-chan struct{}, thread uint32, delay func(faults.Disk) time.Duration) fuse.Status {
	start := time.Now()
	var look <-chan time.Time // since the first signal
	for {
		s, changed := c.get()
		left := delay(s) - time.Since(start)
		if left <= 0 {
			return fuse.OK
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
			return fuse.OK
		case <-changed:
		case <-cancel:
			cancel = nil
			look = time.After(0)
		case <-look:
			if dying(thread) {
				timer.Stop()
				return fuse.Status(syscall.EINTR)
			}
			look = time.After(killPoll)
		}
		timer.Stop()
	}
}

func slowSync(s faults.Disk) time.Duration { return s.SlowSync }
func slowIO(s faults.Disk) time.Duration   { return s.SlowIO }
