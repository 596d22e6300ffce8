package pods

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
)

const (
	connectLimit = 250 * time.Millisecond // a connection that has not opened by then is timed out
	probeLimit   = 10 * time.Second       // for an injector to answer
)

// Measure probes in two rounds: all pods send to all others, then all tell what they
// have heard. No time is waited between them: what has not arrived when all that was
// sent has been read did not get through. A link that the last Set asked to be shaped gets
// a train of datagrams as well, sized to show what was asked, and so do some that must not be: see closer.
func (c *Group) Measure(ctx context.Context) (faults.Measurement, error) {
	// A stream that has to be opened again first would make its pod look deaf.
	err := Each(c.pods, func(p *pod) error {
		ctx, cancel := context.WithTimeout(ctx, probeLimit)
		defer cancel()
		_, err := p.control.client(ctx)
		return probeError(p, err)
	})
	if err != nil {
		return faults.Measurement{}, err
	}
	trains, set := c.links.trains()
	closed := c.links.closed()
	nonce := c.nonce.Add(1)
	replies := make(map[string]*podReplies, len(c.pods))
	for _, p := range c.pods {
		replies[p.node.Name] = &podReplies{}
	}
	err = Each(c.pods, func(p *pod) (err error) {
		probe := injector.Probe{Nonce: nonce, Peers: c.peers(p), TimeoutMS: int(connectLimit.Milliseconds()),
			Trains: map[netip.Addr]faults.Train{}, Ports: map[netip.Addr]faults.Ports{}}
		for link, ports := range closed {
			if link.From == p.node.Name {
				probe.Ports[c.byName[link.To].addr] = ports
			}
		}
		for link, t := range trains {
			if link.From == p.node.Name {
				probe.Trains[c.byName[link.To].addr] = t
			}
		}
		replies[p.node.Name].probe, err = p.control.do(ctx, probeLimit, injector.Request{Probe: &probe})
		return probeError(p, err)
	})
	if err != nil {
		return faults.Measurement{}, err
	}
	err = Each(c.pods, func(p *pod) (err error) {
		heard := injector.Heard{Nonce: nonce}
		replies[p.node.Name].heard, err = p.control.do(ctx, probeLimit, injector.Request{Heard: &heard})
		return probeError(p, err)
	})
	if err != nil {
		return faults.Measurement{}, err
	}
	m, err := c.measurement(replies, trains)
	if err == nil {
		c.links.saw(set, m.Links)
	}
	return m, err
}

func probeError(p *pod, err error) error {
	if err != nil {
		return fmt.Errorf("probing %s: %w", p.node.Name, err)
	}
	return nil
}

type podReplies struct{ probe, heard injector.Reply }

func (c *Group) measurement(replies map[string]*podReplies, trains map[faults.Pair]faults.Train) (faults.Measurement, error) {
	m := faults.Measurement{Links: map[faults.Pair]faults.LinkMeasurement{}, Processes: map[string]faults.ProcessState{},
		Clocks: map[string]faults.ClockMeasurement{}, Disks: map[string]faults.DiskMeasurement{}}
	for _, p := range c.pods {
		r := replies[p.node.Name]
		if r.heard.Process == nil {
			return m, fmt.Errorf("probing %s: the injector does not tell what the process is", p.node.Name)
		}
		m.Processes[p.node.Name] = *r.heard.Process
		if c := r.heard.Clock; c != nil {
			m.Clocks[p.node.Name] = *c
		}
		if d := r.heard.Disk; d != nil {
			m.Disks[p.node.Name] = *d
		}
		if r.heard.Overrun > 0 {
			c.log.Warn("packets were dropped because the machine was too slow to delay them", "node", p.node.Name, "times", r.heard.Overrun)
		}
		for _, peer := range c.pods {
			if peer == p {
				continue
			}
			tcp, ok := r.probe.TCP[peer.addr]
			if !ok {
				return m, fmt.Errorf("probing %s: the injector does not tell how its connection to %s ended", p.node.Name, peer.node.Name)
			}
			link, there := faults.Pair{From: p.node.Name, To: peer.node.Name}, replies[peer.node.Name].heard
			m.Links[link] = faults.LinkMeasurement{
				UDP:   slices.Contains(there.Heard, p.addr) || there.Trains[p.addr].Arrived > 0,
				TCP:   tcp,
				Train: seenTrain(trains[link], there.Trains[p.addr]),
				Ports: seenPorts(r.probe.Ports[peer.addr], there.Ports[p.addr]),
			}
		}
	}
	return m, nil
}

// seenTrain is what a pod saw of a train that another sent.
func seenTrain(sent faults.Train, seen faults.TrainMeasurement) faults.TrainMeasurement {
	seen.Sent = sent.Count
	return seen
}

// seenPorts is which ports a pod has closed to another, and how the attempts of that one ended.
func seenPorts(tried, closed map[uint16]faults.PortMeasurement) map[uint16]faults.PortMeasurement {
	for port, seen := range closed {
		seen.TCP = tried[port].TCP
		closed[port] = seen
	}
	return closed
}

// peers are the addresses of all pods but p.
func (c *Group) peers(p *pod) []netip.Addr {
	var all []netip.Addr
	for _, other := range c.pods {
		if other != p {
			all = append(all, other.addr)
		}
	}
	return all
}
