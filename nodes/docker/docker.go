// Package docker runs clusters on a Docker engine: it implements nodes.Runtime.
//
//	rt := docker.New()
//	cluster, err := rt.Start(ctx, nodes.Spec{Run: "demo", Topology: t, System: system})
//	…
//	err = cluster.Close(context.Background())
//
// # What is started
//
// Every node is two containers, as in a Kubernetes pod. The holder owns the address, the
// network namespace and the pid namespace, publishes the API's port on 127.0.0.1, and
// has the injector (package nodes/injector) as its PID 1. The node joins the holder's
// namespaces, and keeps its data on a named volume. So the node can be killed and
// started again, and finds its address, the rules of its links and its data as they
// were. (The other way round the node would be PID 1, and its death would take
// everything along that is in its pid namespace.) All pods of a run are on one bridge
// network of their own, whose subnet the engine chooses.
//
// The holder has that volume too: a disk can be emptied, rolled back and damaged while the
// node is down. The node's container executes the injector, which becomes the node once the holder is
// ready for it.
//
// Both containers run the same image. It is built FROM scratch through the API, from the
// static binaries of the injector and of the node, and is tagged with the hash of its
// content, so that the same binaries are the same image. The holder has NET_ADMIN, and
// NET_RAW by which packets are doubled, and no other capability, the node none at all; the holder thus has all that the node has,
// which is the kernel's condition for reading what the node's process executes, and
// same-uid signals need no capability. Where a run asks for faults of clocks or disks, the
// holder gets what these take beyond that: see grant.
//
// # How conditions are made true
//
// One long exec stream for each pod leads to the injector's serve. Nothing that is done
// to the pod's network can cut it. A Set sends every pod its whole desired state; the
// injector changes only what is not as asked. It also pauses, continues and kills the
// node, in 1 to 4 ms, where the engine takes 20 to 90. Only the engine can start a node
// again, and it does so only after it has noticed the death: a start before that is
// answered with "already started" and does nothing.
//
// # What is told of processes
//
// Each start of a node's container is watched from its beginning: the engine tells its pid and
// when it started, waits for its end, and tells the exit code, of which 128+n is taken for the signal n, and
// whether memory ran out. The next start waits until that is recorded, so that nothing is missed in
// a storm of restarts. Times are the engine's, mapped to this process's clock.
//
// All containers are looked for every half second. The cluster is lost if a holder does not run or a
// container was removed (a node's that has only ended is no loss), if the engine fails to answer
// for 10 s (a daemon that starts again may leave containers running), or if one call takes it 30 s.
//
// # What is left behind
//
// Nothing, if Close was called. Everything carries labels that name the run and the
// process that owns it, so that Clean can tell what a killed harness has left from what
// a live one is using. An owner is known by pid, start time, boot and pid namespace; of one
// in another pid namespace the pods tell whether it lives, as they end soon after it.
// Images stay until Clean removes those that no container uses.
//
// # Quirks that were met
//
//   - An exec costs the engine 200 to 300 ms, hence the long stream.
//   - An engine can accept a call and never answer it. Every call here has a timeout, and
//     calls that make something are not cut short by a cancelled context: the engine
//     would go on and make it after we had looked for leftovers.
//   - The engine's proxy behind a published port accepts connections for a node that is
//     dead, and then ends them: a client of a killed node sees EOF, which leaves open
//     whether its request took effect, where the pod's own address would have refused the
//     connection. So Endpoint is the pod's own address wherever that can be reached
//     (it also saves a third of a request's time); FAULTLINE_PUBLISHED_PORTS=1 forces the
//     other way. Clients must not go through an HTTP proxy of the environment.
//   - The kernel of a killed node's pod lives on and answers with resets, as that of a
//     machine whose process has died does; a machine that lost power would be silent.
//   - While the engine sets a process up it has more capabilities than the injector,
//     which therefore cannot look at it until it executes the node's file.
//   - Rules see the addresses of peers only. Requests to a published port come from the
//     bridge's gateway, so no link fault cuts clients off.
//
// It is not for engines on other machines: the API ports are published on the loopback
// of the machine that runs the engine.
package docker

import (
	"context"

	"faultline/nodes"
	"faultline/nodes/pods"
)

// New is the Docker runtime. The engine is the one at DOCKER_HOST, or else at the
// default socket; nothing is asked of it yet.
func New() nodes.Runtime { return runtime{limits: defaultLimits} }

type runtime struct{ limits limits }

func (runtime) Name() string { return "docker" }

func (runtime) Capabilities() []nodes.Capability {
	return pods.Capabilities()
}

// Check asks the engine whether it is there, is Linux, and is on this machine.
func (r runtime) Check(ctx context.Context, _ ...nodes.Capability) error {
	_, err := connect(ctx, r.limits)
	return err
}
