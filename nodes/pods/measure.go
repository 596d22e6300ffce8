package pods

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"faultline/nodes"
	"faultline/nodes/injector"
)

const (
	connectLimit = 250 * time.Millisecond // a connection that has not opened by then is timed out
	probeLimit   = 10 * time.Second       // for an injector to answer
)

// Measure probes in two rounds: all pods send to all others, then all tell what they
// have heard. No time is waited between them: what has not arrived when all that was
// sent has been read did not get through.
func (c *Group) Measure(ctx context.Context) (nodes.Measurement, error) {
	// A stream that has to be opened again first would make its pod look deaf.
	err := Each(c.pods, func(p *pod) error {
		ctx, cancel := context.WithTimeout(ctx, probeLimit)
		defer cancel()
		_, err := p.control.client(ctx)
		return probeError(p, err)
	})
	if err != nil {
		return nodes.Measurement{}, err
	}
	nonce := c.nonce.Add(1)
	replies := make(map[string]*podReplies, len(c.pods))
	for _, p := range c.pods {
		replies[p.node.Name] = &podReplies{}
	}
	err = Each(c.pods, func(p *pod) (err error) {
		probe := injector.Probe{Nonce: nonce, Peers: c.peers(p), TimeoutMS: int(connectLimit.Milliseconds())}
		replies[p.node.Name].probe, err = p.control.do(ctx, probeLimit, injector.Request{Probe: &probe})
		return probeError(p, err)
	})
	if err != nil {
		return nodes.Measurement{}, err
	}
	err = Each(c.pods, func(p *pod) (err error) {
		heard := injector.Heard{Nonce: nonce}
		replies[p.node.Name].heard, err = p.control.do(ctx, probeLimit, injector.Request{Heard: &heard})
		return probeError(p, err)
	})
	if err != nil {
		return nodes.Measurement{}, err
	}
	return c.measurement(replies)
}

func probeError(p *pod, err error) error {
	if err != nil {
		return fmt.Errorf("probing %s: %w", p.node.Name, err)
	}
	return nil
}

type podReplies struct{ probe, heard injector.Reply }

var sawTCP = map[injector.TCP]nodes.TCPSeen{
	injector.Open:    nodes.TCPOpen,
	injector.Refused: nodes.TCPRefused,
	injector.Timeout: nodes.TCPTimeout,
}

var sawProcess = map[injector.Process]nodes.Process{
	injector.Running: nodes.Running,
	injector.Paused:  nodes.Paused,
	injector.Absent:  nodes.Killed,
}

func (c *Group) measurement(replies map[string]*podReplies) (nodes.Measurement, error) {
	m := nodes.Measurement{Links: map[nodes.Link]nodes.LinkSeen{}, Processes: map[string]nodes.Process{}}
	for _, p := range c.pods {
		r := replies[p.node.Name]
		process, ok := sawProcess[r.heard.Process]
		if !ok {
			return m, fmt.Errorf("probing %s: the injector does not tell what the process is", p.node.Name)
		}
		m.Processes[p.node.Name] = process
		for _, peer := range c.pods {
			if peer == p {
				continue
			}
			tcp, ok := sawTCP[r.probe.TCP[peer.addr]]
			if !ok {
				return m, fmt.Errorf("probing %s: the injector does not tell how its connection to %s ended", p.node.Name, peer.node.Name)
			}
			m.Links[nodes.Link{From: p.node.Name, To: peer.node.Name}] = nodes.LinkSeen{
				UDP: slices.Contains(replies[peer.node.Name].heard.Heard, p.addr),
				TCP: tcp,
			}
		}
	}
	return m, nil
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
