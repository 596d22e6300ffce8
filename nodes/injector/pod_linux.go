package injector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// Options is what a pod is made for.
type Options struct {
	Node string // the file that the node's process executes, in its own mount namespace
	Data string // the node's data directory, as this process sees it
	// Apart tells that the node has a mount namespace of its own, new at every start, in
	// which its data directory has the same name.
	Apart bool
	Rights
}

// Pod is the pod in which this process runs.
type Pod struct {
	options   Options
	links     *links
	processes processes
	prober    *prober
	door      door

	mu    sync.Mutex // one State is applied at a time
	asked Process    // by the last State
}

// NewPod takes charge of the network namespace and the pid namespace of this process. It
// begins to answer probes.
func NewPod(o Options) (*Pod, error) {
	links, err := newLinks(0)
	if err != nil {
		return nil, err
	}
	prober, err := newProber(netip.AddrPortFrom(netip.IPv4Unspecified(), ProbePort))
	if err != nil {
		return nil, errors.Join(err, links.close())
	}
	listener, err := newDoor(socketName)
	if err != nil {
		return nil, errors.Join(err, prober.close(), links.close())
	}
	p := &Pod{options: o, links: links, processes: processes{path: o.Node, proc: "/proc"}, prober: prober, asked: Running}
	p.door = door{listener: listener, serve: p.Serve, enter: p.enter}
	return p, nil
}

// Serve carries out the commands of in, and answers on out, until in ends.
func (p *Pod) Serve(in io.Reader, out io.Writer) error {
	return Serve(in, out, Handlers{Apply: p.apply, Probe: p.prober.probe, Heard: p.heard})
}

// Listen answers Relay and Become of the pod's other programs, until Close.
func (p *Pod) Listen() error { return p.door.run() }

// Close gives up the probe port and the packet queue; the rules stay.
func (p *Pod) Close() error {
	return errors.Join(p.door.listener.Close(), p.prober.close(), p.links.close())
}

// apply changes the links first: a node that is woken or started meets them as asked.
func (p *Pod) apply(s State) (Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = s.Process
	if err := p.links.set(s.Drop, s.Reject, s.Shape); err != nil {
		return "", err
	}
	if s.Process != Absent {
		return p.processes.set(s.Process)
	}
	if now, err := p.processes.set(Killed); err != nil || now != Killed {
		return now, err
	}
	if err := empty(p.options.Data); err != nil {
		return Killed, err
	}
	return p.seen()
}

// enter makes the pod ready for a process that is going to execute the node.
func (p *Pod) enter(context.Context, int, int) (follow func(), err error) { return nil, nil }

// seen is what the node's process is now; that a killed one is more than killed takes proof.
func (p *Pod) seen() (Process, error) {
	now, err := p.processes.seen()
	if err != nil || now != Killed || p.asked != Absent {
		return now, err
	}
	entries, err := os.ReadDir(p.options.Data)
	if err != nil || len(entries) > 0 {
		return now, err
	}
	return Absent, nil
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
	process, err := p.seen()
	return Hearing{Heard: heard, Trains: p.prober.trains.list(h.Nonce), Process: process, Overrun: p.links.overrun()}, err
}
