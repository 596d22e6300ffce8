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
	nonce := c.nonce.Add(1)
	replies := make(map[string]*podReplies, len(c.pods))
	for _, p := range c.pods {
		replies[p.node.Name] = &podReplies{}
	}
	err = Each(c.pods, func(p *pod) (err error) {
		probe := injector.Probe{Nonce: nonce, Peers: c.peers(p), TimeoutMS: int(connectLimit.Milliseconds()),
			Trains: map[netip.Addr]injector.Train{}}
		for link, t := range trains {
			if link.From == p.node.Name {
				probe.Trains[c.byName[link.To].addr] = injector.Train{Count: t.Count, Bytes: t.Bytes, Pace: t.Pace, Wait: t.Wait}
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

var sawTCP = map[injector.TCP]faults.TCPResult{
	injector.Open:    faults.TCPOpen,
	injector.Refused: faults.TCPRefused,
	injector.Timeout: faults.TCPTimeout,
}

var sawProcess = map[injector.Process]faults.ProcessState{
	injector.Running: faults.Running,
	injector.Paused:  faults.Paused,
	injector.Killed:  faults.Killed,
	injector.Off:     faults.PoweredOff,
	injector.Absent:  faults.Wiped,
}

func (c *Group) measurement(replies map[string]*podReplies, trains map[faults.Pair]faults.Train) (faults.Measurement, error) {
	m := faults.Measurement{Links: map[faults.Pair]faults.LinkMeasurement{}, Processes: map[string]faults.ProcessState{},
		Clocks: map[string]faults.ClockMeasurement{}, Disks: map[string]faults.DiskMeasurement{}}
	for _, p := range c.pods {
		r := replies[p.node.Name]
		process, ok := sawProcess[r.heard.Process]
		if !ok {
			return m, fmt.Errorf("probing %s: the injector does not tell what the process is", p.node.Name)
		}
		m.Processes[p.node.Name] = process
		if c := r.heard.Clock; c != nil {
			m.Clocks[p.node.Name] = clockSeen(c)
		}
		if d := r.heard.Disk; d != nil {
			m.Disks[p.node.Name] = diskSeen(d)
		}
		if r.heard.Overrun > 0 {
			c.log.Warn("packets were dropped because the machine was too slow to delay them", "node", p.node.Name, "times", r.heard.Overrun)
		}
		for _, peer := range c.pods {
			if peer == p {
				continue
			}
			tcp, ok := sawTCP[r.probe.TCP[peer.addr]]
			if !ok {
				return m, fmt.Errorf("probing %s: the injector does not tell how its connection to %s ended", p.node.Name, peer.node.Name)
			}
			link, there := faults.Pair{From: p.node.Name, To: peer.node.Name}, replies[peer.node.Name].heard
			m.Links[link] = faults.LinkMeasurement{
				UDP:   slices.Contains(there.Heard, p.addr) || there.Trains[p.addr].Arrived > 0,
				TCP:   tcp,
				Train: trainSeen(trains[link], there.Trains[p.addr]),
			}
		}
	}
	return m, nil
}

func clockSeen(c *injector.ClockReading) faults.ClockMeasurement {
	seen := faults.ClockMeasurement{Read: true, Offset: c.Wall, After: c.After, Gained: c.Monotonic, Base: c.Base, BaseWithin: c.BaseWithin,
		Patched: c.Patched, Drift: c.WallRate, Monotonic: c.MonotonicRate, Within: c.RateWithin}
	for _, l := range c.Looks {
		seen.Looks = append(seen.Looks, faults.ClockSample{After: l.After, Offset: l.Wall, Within: l.Within})
	}
	return seen
}

func diskSeen(d *injector.DiskReport) faults.DiskMeasurement {
	seen := faults.DiskMeasurement{Tried: true, Read: d.Read, Write: d.Write, Create: d.Create, Sync: d.Sync,
		SyncTook: d.SyncTook, PlainTook: d.PlainTook, Kept: d.Durable, Unsynced: d.Unsynced, Lost: d.Lost, LostBy: d.Names}
	for _, one := range d.Damaged {
		seen.Damaged = append(seen.Damaged, faults.DamageMeasurement{Kind: faults.DamageKind(one.Kind), File: one.File, What: one.What})
	}
	return seen
}

func trainSeen(sent faults.Train, a injector.Arrivals) faults.TrainMeasurement {
	t := faults.TrainMeasurement{Sent: sent.Count, Arrived: a.Arrived, Damaged: a.Damaged, Doubled: a.Doubled,
		Overtaken: a.Overtaken, Least: a.Least, Median: a.Median, P90: a.P90}
	if a.Span > 0 {
		t.Rate = float64(a.Bytes) / a.Span.Seconds()
	}
	return t
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
