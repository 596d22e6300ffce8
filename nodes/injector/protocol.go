package injector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"faultline/nodes/injector/clock"
	"faultline/nodes/injector/disk"
)

// Request is one command to a pod's injector. Exactly one of its pointers is set.
type Request struct {
	ID     uint64  `json:"id"`               // comes back in the Reply
	Apply  *State  `json:"apply,omitempty"`  // make the pod be like this
	Expect *Expect `json:"expect,omitempty"` // let the next process become the node
	Probe  *Probe  `json:"probe,omitempty"`  // send datagrams to peers, connect to them
	Heard  *Heard  `json:"heard,omitempty"`  // tell whose datagrams have arrived
}

// State is all that a pod may be asked to be. The zero value, with a Process, is health.
type State struct {
	Drop    []netip.Addr         `json:"drop,omitempty"`   // peers whose packets vanish
	Reject  []netip.Addr         `json:"reject,omitempty"` // peers whose packets are refused
	Shape   map[netip.Addr]Shape `json:"shape,omitempty"`  // peers whose packets meet more than that
	Peers   []netip.Addr         `json:"peers,omitempty"`  // all other pods: a guarded one lets in nobody else
	Process Process              `json:"process"`

	// What follows takes rights: see Rights.
	Clock   clock.Setting `json:"clock,omitzero"` // its Since is not used
	Disk    disk.State    `json:"disk,omitzero"`
	Torn    uint64        `json:"torn,omitempty"`  // what a loss of power (Off) tears; 0: nothing, it takes all
	Names   disk.Names    `json:"names,omitempty"` // which names it takes
	Damages []Damage      `json:"damages,omitempty"`
}

// Process is the state of the node's process.
type Process string

const (
	Running Process = "running"
	Paused  Process = "paused" // every thread stopped by SIGSTOP
	Killed  Process = "killed" // no process executes NodePath
	Off     Process = "off"    // nor has the disk what it had not been told to keep
	Absent  Process = "absent" // nor has the disk anything
)

// Expect says that the runtime starts the node now, all of whose processes have ended.
type Expect struct{}

// Probe sends datagrams to each peer, and tries to connect to each.
type Probe struct {
	Nonce     uint64       `json:"nonce"`
	Peers     []netip.Addr `json:"peers"`
	TimeoutMS int          `json:"timeout_ms"` // for a connection to open
	// Trains are sent to some of the peers, so that more can be told of their links.
	Trains map[netip.Addr]Train `json:"trains,omitempty"`
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
	Process Process            `json:"process,omitempty"`
	TCP     map[netip.Addr]TCP `json:"tcp,omitempty"`   // for Probe, by peer
	Heard   []netip.Addr       `json:"heard,omitempty"` // for Heard, sorted
	// Trains is what became, for Heard, of the trains that this pod received, by sender.
	Trains map[netip.Addr]Arrivals `json:"trains,omitempty"`
	// Overrun, for Heard, is how often so far the kernel could not hand packets over to be
	// delayed, and dropped them: the machine was too slow for the traffic.
	Overrun int `json:"overrun,omitempty"`
	// Clock and Disk, for Heard, are what these were seen to do, if the pod has the rights.
	Clock *ClockReading `json:"clock,omitempty"`
	Disk  *DiskReport   `json:"disk,omitempty"`
}

// TCP is how an attempt to connect ended.
type TCP string

const (
	Open    TCP = "open"
	Refused TCP = "refused"
	Timeout TCP = "timeout"
)

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
		err = errors.Join(checkPeers(r.Apply.Drop), checkPeers(r.Apply.Reject), checkPeers(r.Apply.Peers), checkShapes(r.Apply.Shape), r.Apply.Process.check(),
			checkClock(r.Apply.Clock), r.Apply.Disk.Check(), r.Apply.Names.Check(), checkDamages(r.Apply.Damages))
	}
	if r.Expect != nil {
		count++
	}
	if r.Probe != nil {
		count++
		err = errors.Join(checkPeers(r.Probe.Peers), checkTrains(r.Probe.Trains))
		if r.Probe.TimeoutMS <= 0 || r.Probe.TimeoutMS > maxTimeoutMS {
			err = fmt.Errorf("a probe's timeout of %d ms: want 1 to %d", r.Probe.TimeoutMS, maxTimeoutMS)
		}
	}
	if r.Heard != nil {
		count++
	}
	if count != 1 {
		return fmt.Errorf("request %d holds %d commands, not one", r.ID, count)
	}
	return err
}

func (p Process) check() error {
	switch p {
	case Running, Paused, Killed, Off, Absent:
		return nil
	}
	return fmt.Errorf("process state %q: want %s, %s, %s, %s or %s", p, Running, Paused, Killed, Off, Absent)
}

func checkShapes(shapes map[netip.Addr]Shape) error {
	for peer, shape := range shapes {
		if err := errors.Join(checkPeers([]netip.Addr{peer}), shape.check()); err != nil {
			return err
		}
	}
	return nil
}

// checkClock looks at all but Since, which the pod chooses.
func checkClock(s clock.Setting) error {
	s.Since = 1
	return s.Check()
}

func checkDamages(damages []Damage) error {
	for _, d := range damages {
		if err := d.check(); err != nil {
			return err
		}
	}
	return nil
}

func checkTrains(trains map[netip.Addr]Train) error {
	for peer, train := range trains {
		if err := errors.Join(checkPeers([]netip.Addr{peer}), train.check()); err != nil {
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
