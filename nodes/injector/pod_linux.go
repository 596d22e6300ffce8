package injector

import (
	"errors"
	"net/netip"
)

// Pod is the pod in which this process runs.
type Pod struct {
	links     *links
	processes processes
	prober    *prober
}

// NewPod takes charge of the network namespace and the pid namespace of this process,
// in which the node executes nodePath. It begins to answer probes.
func NewPod(nodePath string) (*Pod, error) {
	links, err := newLinks(0)
	if err != nil {
		return nil, err
	}
	prober, err := newProber(netip.AddrPortFrom(netip.IPv4Unspecified(), ProbePort))
	if err != nil {
		return nil, err
	}
	return &Pod{links: links, processes: processes{path: nodePath, proc: "/proc"}, prober: prober}, nil
}

// Handlers are what Serve needs.
func (p *Pod) Handlers() Handlers {
	return Handlers{Apply: p.apply, Probe: p.prober.probe, Heard: p.heard}
}

// Close gives up the probe port and the packet queue; the rules stay.
func (p *Pod) Close() error { return errors.Join(p.prober.close(), p.links.close()) }

// apply changes the links first: a node that is woken or started meets them as asked.
func (p *Pod) apply(s State) (Process, error) {
	if err := p.links.set(s.Drop, s.Reject, s.Shape); err != nil {
		return "", err
	}
	return p.processes.set(s.Process)
}

func (p *Pod) heard(h Heard) (Hearing, error) {
	heard, err := p.prober.listHeard(h.Nonce)
	if err != nil {
		return Hearing{}, err
	}
	process, err := p.processes.seen()
	return Hearing{Heard: heard, Trains: p.prober.trains.list(h.Nonce), Process: process, Overrun: p.links.overrun()}, err
}
