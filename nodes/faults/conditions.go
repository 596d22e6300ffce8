// Package faults is the vocabulary of what may be wrong with a cluster, as plain values that
// print, compare, and are read back from YAML and JSON: what is asked for ([Conditions], of
// a [Link] between a [Pair] of nodes, a [Clock], a [Disk], a [ProcessState]), what was
// measured ([Measurement]), and whether that shows what was asked ([Evidence]).
//
//	var c faults.Conditions
//	c.Cut([]string{"a"}, []string{"b"}, faults.Link{Loss: 0.2})
//	gaps := faults.Evidence{Want: &c, Got: measured, Nodes: names}.Gaps()
//
// A new option of a link, a clock or a disk is a field here, with its range, how two of it
// combine and how a measurement shows it; beside that only what makes it true changes.
//
// It is not for making anything true (package nodes and its runtimes) nor for when (package
// nemesis). It stands below all other packages.
package faults

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Conditions is everything that may be wrong with a running cluster, as one value. The
// zero value is health. A fault is a function that edits a Conditions; Cluster.Set makes
// a cluster be in exactly these conditions. So faults overlap without knowing of each
// other, and the heal of one is the Conditions without it.
type Conditions struct {
	Links     map[Pair]Link           `json:"links,omitempty"`     // only links that are not healthy
	Processes map[string]ProcessState `json:"processes,omitempty"` // by node name, only those not running
	Clocks    map[string]Clock        `json:"clocks,omitempty"`
	Disks     map[string]Disk         `json:"disks,omitempty"`
}

// Pair is one direction between two nodes: packets that From sends and To receives.
type Pair struct{ From, To string }

func (l Pair) String() string { return l.From + ">" + l.To }

// MarshalText is String.
func (l Pair) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads String's form. It refuses what does not name two nodes.
func (l *Pair) UnmarshalText(text []byte) error {
	from, to, ok := strings.Cut(string(text), ">")
	if !ok || from == "" || to == "" || strings.Contains(to, ">") {
		return fmt.Errorf("%q is not of the form FROM>TO", text)
	}
	*l = Pair{From: from, To: to}
	return nil
}

// ProcessState is the state of a node's process.
type ProcessState string

const (
	Running ProcessState = ""
	Paused  ProcessState = "paused" // stopped by SIGSTOP: connections stay open, nobody answers
	Killed  ProcessState = "killed" // ended by SIGKILL; its disk and its address stay
	// PoweredOff is a machine without power: killed, and what its disk had not been told to keep
	// is lost.
	PoweredOff ProcessState = "off"
	// Wiped is a machine that is not there: killed, and its disk is empty. A node that
	// comes back from it is a new machine at the old address.
	Wiped ProcessState = "absent"
)

// severity orders the states: the worst of those asked for counts.
var severity = map[ProcessState]int{Running: 0, Paused: 1, Killed: 2, PoweredOff: 3, Wiped: 4}

// Check refuses what is no state of a process.
func (p ProcessState) Check() error {
	if _, ok := severity[p]; !ok {
		return fmt.Errorf("no process state %q; there are running, %s, %s, %s and %s", string(p), Paused, Killed, PoweredOff, Wiped)
	}
	return nil
}

// Ended reports whether there is no process.
func (p ProcessState) Ended() bool { return severity[p] >= severity[Killed] }

// Capability names one kind of condition that a runtime may or may not make true.
type Capability string

const (
	LinkDrop      Capability = "link-drop"
	LinkReject    Capability = "link-reject"
	LinkPorts     Capability = "link-ports"
	LinkLoss      Capability = "link-loss"
	LinkDelay     Capability = "link-delay" // and jitter
	LinkRate      Capability = "link-rate"
	LinkReorder   Capability = "link-reorder"
	LinkDuplicate Capability = "link-duplicate"
	LinkCorrupt   Capability = "link-corrupt"
	ProcessPause  Capability = "process-pause"
	ProcessKill   Capability = "process-kill"
	ProcessOff    Capability = "process-off"
	ProcessAbsent Capability = "process-absent"

	ClockWall      Capability = "clock-wall"
	ClockMonotonic Capability = "clock-monotonic"

	DiskSync   Capability = "disk-sync"
	DiskSlow   Capability = "disk-slow"
	DiskFull   Capability = "disk-full"
	DiskError  Capability = "disk-error"
	DiskDamage Capability = "disk-damage"
)

// Capabilities lists all of them.
func Capabilities() []Capability {
	return []Capability{
		LinkDrop, LinkReject, LinkPorts, LinkLoss, LinkDelay, LinkRate, LinkReorder, LinkDuplicate, LinkCorrupt,
		ProcessPause, ProcessKill, ProcessOff, ProcessAbsent,
		ClockWall, ClockMonotonic,
		DiskSync, DiskSlow, DiskFull, DiskError, DiskDamage,
	}
}

// Clock reports whether it takes a pod that may change clocks.
func (c Capability) Clock() bool { return strings.HasPrefix(string(c), "clock-") }

// Disk reports whether it takes a pod that may change disks.
func (c Capability) Disk() bool { return strings.HasPrefix(string(c), "disk-") || c == ProcessOff }

// Cut merges a state into those of the links from every node of from to every node of to.
func (c *Conditions) Cut(from, to []string, state Link) {
	if c.Links == nil {
		c.Links = map[Pair]Link{}
	}
	for _, a := range from {
		for _, b := range to {
			if a == b {
				continue
			}
			l := Pair{a, b}
			c.Links[l] = c.Links[l].Merge(state)
		}
	}
}

// SetProcess puts nodes into a state; of two that are asked for the worse counts, whichever
// came first.
func (c *Conditions) SetProcess(names []string, state ProcessState) {
	if c.Processes == nil {
		c.Processes = map[string]ProcessState{}
	}
	for _, n := range names {
		if severity[state] > severity[c.Processes[n]] {
			c.Processes[n] = state
		}
	}
}

// SetClock merges a state into those of the clocks of nodes.
func (c *Conditions) SetClock(names []string, state Clock) {
	if c.Clocks == nil {
		c.Clocks = map[string]Clock{}
	}
	for _, n := range names {
		c.Clocks[n] = c.Clocks[n].Merge(state)
	}
}

// SetDisk merges a state into those of the disks of nodes.
func (c *Conditions) SetDisk(names []string, state Disk) {
	if c.Disks == nil {
		c.Disks = map[string]Disk{}
	}
	for _, n := range names {
		c.Disks[n] = c.Disks[n].Merge(state)
	}
}

// Clone is an independent copy.
func (c Conditions) Clone() Conditions {
	c.Links, c.Processes = maps.Clone(c.Links), maps.Clone(c.Processes)
	c.Clocks, c.Disks = maps.Clone(c.Clocks), maps.Clone(c.Disks)
	for n, d := range c.Disks {
		d.Damages = slices.Clone(d.Damages)
		c.Disks[n] = d
	}
	return c
}

// Equal compares what the conditions mean.
func (c Conditions) Equal(d Conditions) bool {
	return slices.Equal(c.lines(), d.lines())
}

// Healthy reports whether nothing is wrong.
func (c Conditions) Healthy() bool { return len(c.lines()) == 0 }

// String lists what is wrong, sorted, or says "healthy".
func (c Conditions) String() string {
	if c.Healthy() {
		return "healthy"
	}
	return strings.Join(c.lines(), ", ")
}

// Needs lists the capabilities that a runtime must have for these conditions, sorted.
func (c Conditions) Needs() []Capability {
	need := map[Capability]bool{}
	for _, s := range c.Links {
		s.needs(need)
	}
	for _, p := range c.Processes {
		need[ProcessPause] = need[ProcessPause] || p == Paused
		need[ProcessKill] = need[ProcessKill] || p == Killed
		need[ProcessOff] = need[ProcessOff] || p == PoweredOff
		need[ProcessAbsent] = need[ProcessAbsent] || p == Wiped
	}
	for _, s := range c.Clocks {
		s.needs(need)
	}
	for _, s := range c.Disks {
		s.needs(need)
	}
	maps.DeleteFunc(need, func(_ Capability, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(need))
}

func (c Conditions) lines() []string {
	var out []string
	for l, s := range c.Links {
		if !s.Healthy() {
			out = append(out, l.String()+" "+s.String())
		}
	}
	for n, p := range c.Processes {
		if p != Running {
			out = append(out, fmt.Sprintf("%s %s", n, p))
		}
	}
	for n, s := range c.Clocks {
		if !s.Healthy() {
			out = append(out, n+" "+s.String())
		}
	}
	for n, s := range c.Disks {
		if !s.Healthy() {
			out = append(out, n+" "+s.String())
		}
	}
	slices.Sort(out)
	return out
}

// Measurement is what probes found out about a running cluster.
type Measurement struct {
	Links     map[Pair]LinkMeasurement    `json:"links,omitempty"`
	Processes map[string]ProcessState     `json:"processes,omitempty"`
	Clocks    map[string]ClockMeasurement `json:"clocks,omitempty"`
	Disks     map[string]DiskMeasurement  `json:"disks,omitempty"`
}

// LinkMeasurement is what the probes between two nodes saw.
type LinkMeasurement struct {
	UDP   bool                       `json:"udp"`             // a datagram From > To arrived at To
	TCP   TCPResult                  `json:"tcp"`             // a connection attempt by From to To
	Train TrainMeasurement           `json:"train,omitzero"`  // of links that are asked to be Shaped, at least
	Ports map[uint16]PortMeasurement `json:"ports,omitempty"` // all to which To lets nothing of From through
}

// TCPResult is how a connection attempt ended.
type TCPResult string

const (
	TCPOpen    TCPResult = "open"
	TCPRefused TCPResult = "refused"
	TCPTimeout TCPResult = "timeout"
)

// Mismatches lists where the measurement is not what the conditions ask for, a sentence
// each, sorted. Every directed pair of names is compared, and every process.
//
// A TCP connection needs both directions: From > To carries the SYN and To > From its
// answer, so it opens only if both are healthy. It is refused if the SYN is rejected at
// To and the reset comes back, or if the SYN arrives and its answer is rejected at From
// (which then resets on its own side: seen as refused or timeout, by kernel). Where either
// direction is shaped, packets of the attempt may be lost or late, so it may time out too;
// such links are judged by the train. What is rejected is judged by that alone, since
// nothing of a train is left to look at.
func (m Measurement) Mismatches(want Conditions, names []string) []string {
	return m.mismatchesAfter(nil, want, names)
}

// mismatchesAfter is Mismatches after a change from other conditions; nil: nobody knows which. Links that are shaped as
// before need no train: whoever changed others has seen them so, and sees them so again when nothing changes.
func (m Measurement) mismatchesAfter(before *Conditions, want Conditions, names []string) []string {
	if before != nil && before.Equal(want) {
		before = nil // all is to be looked at
	}
	var out []string
	for _, from := range names {
		for _, to := range names {
			if from == to {
				continue
			}
			out = append(out, m.linkMismatches(before, want, Pair{from, to})...)
		}
	}
	for _, n := range names {
		got, asked := m.Processes[n], want.Processes[n]
		mayEnd := got == Killed && !asked.Ended() && want.Disks[n].EndsNodes()
		if got != asked && !mayEnd {
			out = append(out, fmt.Sprintf("%s is %s, not %s", n, cmp.Or(got, "running"), cmp.Or(asked, "running")))
		}
		if got == PoweredOff && asked == PoweredOff {
			for _, wrong := range m.Disks[n].lossMismatches(want.Disks[n]) {
				out = append(out, fmt.Sprintf("%s: %s", n, wrong))
			}
		}
		for _, wrong := range slices.Concat(m.Clocks[n].mismatches(want.Clocks[n], got.Ended()), m.Disks[n].mismatches(want.Disks[n])) {
			out = append(out, fmt.Sprintf("%s: %s", n, wrong))
		}
	}
	slices.Sort(out)
	return out
}

func (m Measurement) linkMismatches(before *Conditions, want Conditions, l Pair) []string {
	seen, ok := m.Links[l]
	if !ok {
		return []string{fmt.Sprintf("%s was not probed", l)}
	}
	var out []string
	there, back := want.Links[l], want.Links[Pair{l.To, l.From}]
	arrives := !there.Drop && !there.Reject
	switch trained := seen.Train.Sent > 0; {
	case arrives && there.Shaped() && !trained && before != nil && before.Links[l] == there:
		// a datagram may be lost, or late
	case arrives && there.Shaped() && !trained:
		return []string{fmt.Sprintf("%s: no train of datagrams was sent", l)}
	case arrives && trained:
		for _, wrong := range seen.Train.mismatches(there) {
			out = append(out, fmt.Sprintf("%s: %s", l, wrong))
		}
	case seen.UDP != arrives:
		out = append(out, fmt.Sprintf("%s: a datagram %s", l, map[bool]string{true: "arrived", false: "was lost"}[seen.UDP]))
	}
	for _, wrong := range seen.portMismatches(there) {
		out = append(out, fmt.Sprintf("%s: %s", l, wrong))
	}
	allowed := tcpAllowed(there, back)
	if there.Shaped() || back.Shaped() {
		allowed = append(allowed, TCPTimeout)
	}
	if !slices.Contains(allowed, seen.TCP) {
		out = append(out, fmt.Sprintf("%s: a connection was %s, not %s", l, seen.TCP, allowed[0]))
	}
	return out
}

func tcpAllowed(there, back Link) []TCPResult {
	switch {
	case there.Drop || back.Drop:
		return []TCPResult{TCPTimeout}
	case there.Reject && back.Reject:
		return []TCPResult{TCPTimeout, TCPRefused} // the reset itself is rejected
	case there.Reject:
		return []TCPResult{TCPRefused}
	case back.Reject:
		return []TCPResult{TCPTimeout, TCPRefused}
	}
	return []TCPResult{TCPOpen}
}
