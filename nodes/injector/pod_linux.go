package injector

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector/clock"
)

// Options is what a pod is made for.
type Options struct {
	Data string // the node's data directory, as this process sees it
	// Apart tells that the node has a mount namespace of its own, new at every start, in
	// which its data directory has the same name.
	Apart bool
	// Guarded has nobody reach the pod from outside but by its proxy, and the peers that a State
	// names. It begins with nobody.
	Guarded bool
	Rights
}

// Pod is the pod in which this process runs.
type Pod struct {
	options   Options
	links     *links
	processes processes
	prober    *prober

	mu       sync.Mutex          // one State is applied at a time
	asked    faults.ProcessState // by the last State
	expected *nodes.Launch       // what the runtime is about to start; nil: nothing
	entered  atomic.Int64        // pid of the process that was let in last
	clocks   *clocks             // nil without the right
	disks    *disks              // nil without the right
	broken   error               // why a node's clock is not as asked since it was started
}

// NewPod takes charge of the network namespace and the pid namespace of this process. It
// begins to answer probes.
func NewPod(o Options) (*Pod, error) {
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, err
	}
	links, err := newLinks(0)
	if err != nil {
		return nil, err
	}
	if o.Guarded {
		links.admit(nil)
		if err := links.set(nil); err != nil {
			return nil, fmt.Errorf("pods that are closed to others %s: %w; the kernel must have CONFIG_NF_TABLES_INET and CONFIG_NFT_REJECT_INET", NotHere, err)
		}
	}
	prober, err := newProber(netip.AddrPortFrom(netip.IPv4Unspecified(), ProbePort))
	if err != nil {
		return nil, errors.Join(err, links.close())
	}
	p := &Pod{options: o, links: links, prober: prober, asked: faults.Running}
	p.processes = processes{proc: "/proc", are: nodeProcesses(own, func() int { return int(p.entered.Load()) })}
	if o.Clock {
		p.clocks = &clocks{processes: p.processes, open: map[int]*clock.Process{}, caught: map[int]clock.Setting{}, base: map[int]gained{}}
	}
	if o.Disk {
		if p.disks, err = openDisks(o.Data, o.Apart); err != nil {
			err = fmt.Errorf("disk faults %s: %w; they need /dev/fuse, open to this user (where it is not, as root: `chmod 0666 /dev/fuse`; "+
				"where it is missing: CONFIG_FUSE_FS, or as a module `modprobe fuse`), and Linux 5.12", NotHere, err)
			return nil, errors.Join(err, prober.close(), links.close())
		}
	}
	return p, nil
}

// Serve carries out the commands of in, and answers on out, until in ends.
func (p *Pod) Serve(in io.Reader, out io.Writer) error {
	return Serve(in, out, Handlers{Apply: p.apply, Expect: p.expect, Probe: p.prober.probe, Heard: p.heard, Echo: p.prober.echoes.collect})
}

// Admit makes the pod ready for a process of it, which is in BecomeTold and has the other end of
// to; it tells it so and what to execute, or why not. It returns when that has executed the node.
func (p *Pod) Admit(pid int, launch nodes.Launch, to io.Writer) {
	enter := func(pid int) (nodes.Launch, func(), error) {
		follow, err := p.enter(pid)
		return launch, follow, err
	}
	if follow := admit(enter, pid, to); follow != nil {
		follow()
	}
}

// Close gives up the probe port and the packet queue; the rules stay.
func (p *Pod) Close() error {
	err := errors.Join(p.prober.close(), p.links.close())
	if p.disks != nil {
		err = errors.Join(err, p.disks.disk.Close())
	}
	return err
}

// apply changes the links and the clock first: a node that is woken or started meets them as
// asked. The disk is last: what is done to files is done to those of a node that has ended.
func (p *Pod) apply(s State) (faults.ProcessState, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = s.Process
	if err := p.permits(s); err != nil {
		return "", err
	}
	if p.options.Guarded {
		p.links.admit(s.Peers)
	}
	if err := p.links.set(s.Links); err != nil {
		return "", err
	}
	if p.clocks != nil {
		if err := p.clocks.set(s.Clock); err != nil {
			return "", err
		}
	}
	if err := p.setDisk(s); err != nil {
		return "", err
	}
	if process := s.Process; process == faults.Running || process == faults.Paused {
		return p.processes.set(process)
	}
	if now, err := p.processes.set(faults.Killed); err != nil || now != faults.Killed {
		return now, err
	}
	var err error
	switch s.Process {
	case faults.PoweredOff:
		err = p.disks.powerLoss(s.Disk.Torn, s.Disk.Names)
	case faults.Wiped:
		err = p.wipe()
	}
	if err != nil {
		return faults.Killed, err
	}
	return p.seen()
}

// permits refuses what the pod was not made for.
func (p *Pod) permits(s State) error {
	switch {
	case p.clocks == nil && !s.Clock.Healthy():
		return errors.New("this pod was not given the right to clocks")
	case p.disks == nil && (!s.Disk.Healthy() || s.Process == faults.PoweredOff):
		return errors.New("this pod was not given the right to disks")
	}
	return nil
}

// setDisk ends the node for a change of what is damaged. Whoever asked finds it gone, and
// starts it again.
func (p *Pod) setDisk(s State) error {
	if p.disks == nil {
		return nil
	}
	if !p.disks.damagedAs(s.Disk.Damages) {
		if now, err := p.processes.set(faults.Killed); err != nil || now != faults.Killed {
			return errors.Join(err, fmt.Errorf("the node is %s, and should have ended for its disk to be damaged", now))
		}
		if err := p.disks.damage(s.Disk.Damages); err != nil {
			return err
		}
	}
	return p.disks.disk.Set(s.Disk)
}

func (p *Pod) wipe() error {
	if p.disks != nil {
		return p.disks.disk.Wipe()
	}
	return empty(p.options.Data)
}

// expect lets one process enter, in place of whichever was expected before.
func (p *Pod) expect(e Expect) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = &e.Launch
	return nil
}

// enterExpected is enter for a process of which nothing is known but that it asks. It may be one
// of the node's, which would gain by it: a process that enters is left alone until it executes the
// node, with the clock that it has, and the disk counts as written to. So only the first that
// asks after the runtime has said that it starts the node is let in. Then the node's old processes
// have all ended, and no new one can ask before it has been let in itself.
func (p *Pod) enterExpected(pid int) (launch nodes.Launch, follow func(), err error) {
	p.mu.Lock()
	expected := p.expected
	p.expected = nil
	p.mu.Unlock()
	if expected == nil {
		return launch, nil, errors.New("nobody has said that the node is being started")
	}
	follow, err = p.enter(pid)
	return *expected, follow, err
}

// enter makes the pod ready for a process that is going to execute the node.
func (p *Pod) enter(pid int) (follow func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = nil
	p.entered.Store(int64(pid))
	if p.disks != nil {
		p.disks.lost = false
		if err := p.disks.enter(pid); err != nil {
			return nil, err
		}
	}
	if p.clocks == nil || p.clocks.truth() {
		return nil, nil
	}
	return p.clocks.enter(pid, func(caught *clock.Process, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := p.clocks.settle(pid, caught, err); err != nil {
			p.broken = fmt.Errorf("the clock of the node that was started is not as asked: %w", err)
		}
	})
}

// seen is what the node's process is now; that a killed one is more than killed takes proof.
func (p *Pod) seen() (faults.ProcessState, error) {
	now, err := p.processes.seen()
	if err != nil || now != faults.Killed {
		return now, errors.Join(err, p.broken)
	}
	switch p.asked {
	case faults.PoweredOff:
		if p.disks.lost && p.disks.clean() {
			return faults.PoweredOff, nil
		}
	case faults.Wiped:
		if bare, err := p.bare(); err != nil || !bare {
			return now, err
		}
		return faults.Wiped, nil
	}
	return now, nil
}

// bare reports whether the disk holds nothing, beside what package disk keeps there itself.
func (p *Pod) bare() (bool, error) {
	if p.disks != nil {
		return p.disks.disk.Empty()
	}
	entries, err := os.ReadDir(p.options.Data)
	if err != nil {
		return false, err
	}
	return len(entries) == 0, nil
}

// empty removes all that is in a directory.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("emptying the disk: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("emptying the disk: %w", err)
		}
	}
	return nil
}

func (p *Pod) heard(h Heard) (Hearing, error) {
	heard, err := p.prober.listHeard(h.Nonce)
	if err != nil {
		return Hearing{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hearing := Hearing{Heard: heard, Trains: p.prober.trains.list(h.Nonce), Overrun: p.links.overrun()}
	if hearing.Ports, err = p.links.dropped(); err != nil {
		return hearing, err
	}
	if hearing.Process, err = p.seen(); err != nil {
		return hearing, err
	}
	if p.clocks != nil {
		if hearing.Clock, err = p.clocks.read(); err != nil {
			return hearing, err
		}
	}
	if p.disks != nil {
		hearing.Disk, err = p.disks.report()
	}
	return hearing, err
}
