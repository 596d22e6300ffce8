package nodes

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"

	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Endpoint is how the API of one node is reached.
type Endpoint struct {
	Node string
	// Dial connects to it. What the node's machine refused is a syscall.ECONNREFUSED.
	Dial func(ctx context.Context) (net.Conn, error)
}

// TCP is an endpoint at an address, HOST:PORT, that anybody can reach.
func TCP(addr string) Endpoint {
	return Endpoint{Node: addr, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
}

// Runtime starts clusters on some kind of machine.
type Runtime interface {
	Name() string
	// Capabilities lists the conditions that it can make true.
	Capabilities() []faults.Capability
	// Check reports whether this machine offers what the runtime needs to make such conditions
	// true; the error says what lacks and the way out.
	Check(ctx context.Context, needs ...faults.Capability) error
	// Start brings a cluster up: every pod, then every node's process. It does not wait
	// until the system elects a leader. On error nothing is left behind.
	Start(ctx context.Context, spec Spec) (Cluster, error)
	// Clean removes everything that earlier runs, even killed ones, have left on this
	// machine, except what runs that are alive own. It needs no more of the machine than what
	// it cleans; that this is not there is an ErrAbsent.
	Clean(ctx context.Context) (Cleaned, error)
}

// Cleaned is what Clean found, a line each.
type Cleaned struct {
	Removed []string
	Left    []string // what it left alone although it cannot see the owner, and why
}

// ErrAbsent is in the chain of an error that says that what is asked for is not on this
// machine at all.
var ErrAbsent = errors.New("not on this machine")

// ErrUnlooked is in the chain of an error that says that what runs may have left could not be
// looked at, as things are; the user can mend that.
var ErrUnlooked = errors.New("what is left there was not looked at")

// Spec is the cluster to start.
type Spec struct {
	Run      string // identifies the run on this machine, [a-z0-9-]+
	Topology topologies.Topology
	System   System
	// Needs lists the kinds of conditions that will be asked for. A runtime gives pods no
	// rights beyond what these take, and need not make others true.
	Needs []faults.Capability
	// Baseline is what the cluster is to begin with: nodes that it makes absent are not
	// started.
	Baseline faults.Conditions
	Log      *slog.Logger
	// Progress is told, in a few words, what takes time (building an image); may be nil.
	Progress func(string)
}

// Cluster is a running cluster. Its methods may be called by many goroutines; every one
// of them gives up when its context does.
type Cluster interface {
	// Endpoint is how a node's API is reached from here, and by nobody else. It stays the
	// same while the cluster lives, through kills and restarts.
	Endpoint(node string) Endpoint
	// Watch reports every start and every end of a node's process, those that came before
	// the call first and those of one node in their order, until ctx ends; then it returns
	// nil. An error means that the cluster is lost: a pod, the engine or what keeps it is
	// gone, by no doing of ours. Both what was before ctx ended and what was before the loss is
	// reported first. What Close ends is neither reported nor a loss. report is never called
	// twice at a time. Only one may watch.
	Watch(ctx context.Context, report func(history.ProcessEvent)) error
	// Set brings the cluster to exactly these conditions. It is idempotent: what already
	// holds is left alone. An error tells which nodes are not as asked.
	Set(ctx context.Context, want faults.Conditions) error
	// Measure probes every directed link by UDP and TCP, and every process.
	Measure(ctx context.Context) (faults.Measurement, error)
	// Exited waits until a node's process has ended by itself (after it left).
	Exited(ctx context.Context, node string) error
	// Logs copies all that a node has said so far to w.
	Logs(ctx context.Context, node string, w io.Writer) error
	// Close removes everything. It is safe to call twice. Give it a context of its own:
	// the run's may be over.
	Close(ctx context.Context) error
}
