//go:build linux

// Package local runs clusters in Linux namespaces, without a container engine, without a
// daemon and without root: it implements nodes.Runtime.
//
//	rt := local.New()
//	cluster, err := rt.Start(ctx, nodes.Spec{Run: "demo", Topology: t, System: system})
//	…
//	err = cluster.Close(context.Background())
//
// # What is started
//
// One process in new user, network, mount and pid namespaces, the cluster's PID 1, which
// owns a bridge. It starts the pods, each in network, mount, pid and UTS namespaces of its own,
// tied to the bridge by a veth pair. A pod's PID 1 is its injector (package nodes/injector, the
// same that runs in Docker's pods), and starts the node as a child, without any capability. So
// the node can be killed and started again, and finds its address, the rules of its links and its
// data as they were. Its file system is as bare as an image FROM scratch: its program, /data,
// /proc and a few devices. What runs inside the namespaces is package space.
//
// # How clients reach a node
//
// Nobody outside can route to the bridge, and nobody listens for the nodes outside. But a socket
// belongs forever to the namespace that it was made in: the cluster's PID 1 makes sockets, passes
// them on, and the harness connects them straight to the node (Endpoint.Dial). So a client sees
// what the node's kernel does: a dead node refuses, which is definite. Who is the same user on
// this machine, or root, can enter the namespaces, and is trusted.
//
// A node cannot speak with its injector, or with those of others: it inherits no stream, its
// pod listens on nothing but the port of probes, and the kernel denies it all of PID 1, whose
// capabilities it lacks.
//
// # What is told of processes
//
// A pod's PID 1 is the node's parent, and tells when it started and how it ended. A pod that has
// ended, or the process that all pods live in, is a cluster that is lost. Whether a node died
// for want of memory the kernel tells nobody but its own log; so a SIGKILL while the kernel's count of
// such deaths rose is taken for one (oom.go).
//
// # What is left behind
//
// Nothing runs on without the harness: when its end of the channel closes, also by a kill -9,
// the cluster's PID 1 ends, and the kernel ends everything in its pid namespace and takes
// mounts and devices away with their namespaces. Close also removes the run's directory, with the
// programs, the nodes' data and their logs: TMPDIR/faultline-UID/RUN@OWNER. After a kill -9,
// Clean does, if it runs as the same user with the same TMPDIR.
//
// # Quirks that were met
//
//   - A file whose last name was removed is executed as "/bin/node (deleted)", by which no
//     injector would know it: so the programs are copies, in the run's directory, and not
//     what a build beside this run may replace.
//   - A terminal's Ctrl-C goes to all processes of its foreground group: the cluster has a
//     session of its own.
//   - A socket that is not connected yet is reported ready for writing, and hung up: only
//     getpeername reports whether a connect is done.
//
// It is not for machines whose kernel lacks nftables, bridges or veth devices: Check tells
// which. Nodes share the machine's disk, memory and clock with everything else, and nothing limits
// what they take of it: limits of a process's address space or of a user's processes (setrlimit(2))
// are no limits of a pod, and control groups take a right that users seldom have. Run systems that
// leak in docker, or the harness itself in a group (`systemd-run --user --scope -p MemoryMax=4G`).
package local

import (
	"context"
	"fmt"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/pods"
)

// New is the local runtime. Nothing is asked of the machine yet.
func New() nodes.Runtime { return runtime{} }

type runtime struct{}

func (runtime) Name() string { return "local" }

func (runtime) Capabilities() []faults.Capability { return pods.Capabilities() }

// Check makes a pod for real, with the rights that such conditions take, refuses and drops
// packets in it, and takes it away again.
func (runtime) Check(ctx context.Context, needs ...faults.Capability) error {
	return try(ctx, pods.RightsFor(needs))
}

// Start brings a cluster up: the pods, then all nodes at once.
func (runtime) Start(ctx context.Context, spec nodes.Spec) (nodes.Cluster, error) {
	c, err := start(ctx, spec)
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	return c, nil
}

// Clean removes the directories of runs that are over. Nothing else can be left.
func (runtime) Clean(ctx context.Context) (nodes.Cleaned, error) { return clean(ctx) }
