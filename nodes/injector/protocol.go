package injector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector/clock"
)

// Request is one command to a pod's injector. Exactly one of its pointers is set.
type Request struct {
	ID     uint64  `json:"id"`               // comes back in the Reply
	Apply  *State  `json:"apply,omitempty"`  // make the pod be like this
	Expect *Expect `json:"expect,omitempty"` // let the next process become the node
	Probe  *Probe  `json:"probe,omitempty"`  // send datagrams to peers, connect to them
	Heard  *Heard  `json:"heard,omitempty"`  // tell whose datagrams have arrived
	Echo   *Echo   `json:"echo,omitempty"`   // exchange with a peer over TCP, and tell how that fares
}

// State is all that a pod may be asked to be. The zero value is health.
type State struct {
	Links   map[netip.Addr]faults.Link `json:"links,omitempty"` // by peer: what happens to the packets that come from it
	Peers   []netip.Addr               `json:"peers,omitempty"` // all other pods: a guarded one lets in nobody else
	Process faults.ProcessState        `json:"process,omitempty"`

	// What follows takes rights: see Rights.
	Clock faults.Clock `json:"clock,omitzero"`
	Disk  faults.Disk  `json:"disk,omitzero"`
}

// Expect says that the runtime starts the node now, all of whose processes have ended, and how.
type Expect struct {
	Launch nodes.Launch `json:"launch,omitzero"`
}

// Probe sends datagrams to each peer, and tries to connect to each.
type Probe struct {
	Nonce     uint64       `json:"nonce"`
	Peers     []netip.Addr `json:"peers"`
	TimeoutMS int          `json:"timeout_ms"` // for a connection to open
	// Trains are sent to some of the peers, so that more can be told of their links.
	Trains map[netip.Addr]faults.Train `json:"trains,omitempty"`
	// Ports are more ports of some of the peers, which are closed to this pod. A probe to one that is not reaches the node.
	Ports map[netip.Addr]faults.Ports `json:"ports,omitempty"`
}

// Heard asks from whom datagrams with this nonce have arrived.
type Heard struct {
	Nonce uint64 `json:"nonce"`
}

// Reply answers the Request with the same ID.
type Reply struct {
	ID     uint64 `json:"id"`
	Error  string `json:"error,omitempty"`
	Micros int64  `json:"micros"` // that the work took in the pod
	// Process is what the node's process is after the work; set for Apply and Heard. An
	// injector can stop, continue and kill a node, but not start it: that Apply asked for
	// another state and got Killed is no Error.
	Process *faults.ProcessState            `json:"process,omitempty"`
	TCP     map[netip.Addr]faults.TCPResult `json:"tcp,omitempty"` // for Probe, by peer
	// Ports is, for Probe, how connections to the Ports of peers ended, and for Heard, which are closed to whom, and what of
	// each peer was dropped.
	Ports map[netip.Addr]map[uint16]faults.PortMeasurement `json:"ports,omitempty"`
	Heard []netip.Addr                                     `json:"heard,omitempty"` // for Heard, sorted
	// Trains is what became, for Heard, of the trains that this pod received, by sender.
	Trains map[netip.Addr]faults.TrainMeasurement `json:"trains,omitempty"`
	// Overrun, for Heard, is how often so far the kernel could not hand packets over to be
	// delayed, and dropped them: the machine was too slow for the traffic.
	Overrun int `json:"overrun,omitempty"`
	// Clock and Disk, for Heard, are what these were seen to do, if the pod has the rights.
	Clock *faults.ClockMeasurement `json:"clock,omitempty"`
	Disk  *faults.DiskMeasurement  `json:"disk,omitempty"`
	Echo  *Echoes                  `json:"echo,omitempty"` // for Echo
}

const (
	maxLine      = 1 << 16
	maxPeers     = 1024
	maxTimeoutMS = 60_000
)

// ParseRequest reads one line of the protocol and refuses what could not be done.
func ParseRequest(line []byte) (Request, error) {
	var r Request
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Request{}, fmt.Errorf("not a request: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Request{}, errors.New("not a request: something follows it on the line")
	}
	return r, r.check()
}

func (r Request) check() error {
	var count int
	var err error
	if r.Apply != nil {
		count++
		err = r.Apply.check()
	}
	if r.Expect != nil {
		count++
		err = r.Expect.Launch.Check()
	}
	if r.Probe != nil {
		count++
		err = errors.Join(checkPeers(r.Probe.Peers), checkTrains(r.Probe.Trains), checkPorts(r.Probe.Ports))
		if r.Probe.TimeoutMS <= 0 || r.Probe.TimeoutMS > maxTimeoutMS {
			err = fmt.Errorf("a probe's timeout of %d ms: want 1 to %d", r.Probe.TimeoutMS, maxTimeoutMS)
		}
	}
	if r.Heard != nil {
		count++
	}
	if r.Echo != nil {
		count++
		err = checkPeers([]netip.Addr{r.Echo.Peer})
	}
	if count != 1 {
		return fmt.Errorf("request %d holds %d commands, not one", r.ID, count)
	}
	return err
}

// check refuses what could not be carried out, however many faults it is the sum of.
func (s State) check() error {
	err := errors.Join(checkPeers(slices.Collect(maps.Keys(s.Links))), checkPeers(s.Peers), s.Process.Check(), s.Disk.CheckBounds(),
		clock.Setting{Clock: s.Clock, Since: 1}.Check()) // the pod chooses since when
	for _, link := range s.Links {
		err = errors.Join(err, link.CheckBounds())
		for _, own := range []uint16{ProbePort, ProxyPort} {
			if slices.Contains(link.Ports.List(), own) {
				err = errors.Join(err, fmt.Errorf("port %d is the injector's own", own))
			}
		}
	}
	return err
}

func checkPorts(ports map[netip.Addr]faults.Ports) error {
	for peer, p := range ports {
		if err := errors.Join(checkPeers([]netip.Addr{peer}), p.Check()); err != nil {
			return err
		}
	}
	return nil
}

func checkTrains(trains map[netip.Addr]faults.Train) error {
	for peer, train := range trains {
		if err := errors.Join(checkPeers([]netip.Addr{peer}), checkTrain(train)); err != nil {
			return err
		}
	}
	return nil
}

func checkPeers(peers []netip.Addr) error {
	if len(peers) > maxPeers {
		return fmt.Errorf("%d peers: want at most %d", len(peers), maxPeers)
	}
	for _, p := range peers {
		if !p.Is4() {
			return fmt.Errorf("peer %q is not an IPv4 address", p)
		}
	}
	return nil
}
