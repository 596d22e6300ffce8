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
// network namespace and the pid namespace, and has the injector (package nodes/injector) as
// its PID 1. The node joins the holder's
// namespaces, and keeps its data on a named volume. So the node can be killed and
// started again, and finds its address, the rules of its links and its data as they
// were. (The other way round the node would be PID 1, and its death would take
// everything along that is in its pid namespace.) All pods of a run are on one bridge
// network of their own, whose subnet the engine chooses, and which leads nowhere else.
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
// holder gets what these take beyond that: see grant. Every container has a limit of memory
// and of processes: see limited.
//
// # Who reaches a node
//
// The nodes of the cluster, and the harness. Everybody on this machine can send packets to the
// pods' addresses, and a stranger's write would be taken for a fault of the system. So each
// holder refuses what does not come from a peer, but for a proxy of the API, which lets in whoever
// knows a secret that the harness draws for every cluster. Endpoint.Dial does that. The proxy
// says whether the node's kernel has accepted the connection, so that a dead node is known to have
// received nothing, however the way leads to it.
//
// That is the pod's own address wherever this machine has the network's bridge. Where it has not
// (the engine is in a virtual machine, or has no root), or FAULTLINE_PUBLISHED_PORTS=1 is set,
// the proxies' ports are published on 127.0.0.1, and the network is one that leads outside.
//
// The secret is in the holder's environment: who may use the engine can read it, and so can do
// anything to the cluster as it is.
//
// # How conditions are made true
//
// One long exec stream for each pod leads to the injector's serve, in the holder's mount
// namespace, where the node cannot follow. Nothing that is done to the pod's network can cut it. A Set sends every pod its whole desired state; the
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
// # Who speaks to the engine
//
// Two clients. The pool of dockertest finds the engine, builds the image, and makes the network and
// the containers. The official client (github.com/moby/moby/client) does everything else: it lists,
// inspects, starts, waits, streams and removes, and every call of it ends with its context, which
// cannot be said of the pool's. The pool makes the network because only it asks an engine before
// Docker 25 to refuse a second one of the same name. The official client takes engines from Docker
// 19.03 on (API 1.40), and agrees with each on a version.
//
// # What is left behind
//
// Nothing, if Close was called. Nothing runs on without the harness, either: with it, also after a
// kill -9, the engine ends the exec streams, and a holder without one ends after 10 s, and its node
// with it (after 2 minutes, if there never was one). A stream that breaks while the harness lives
// is opened again at once. What has ended is still there. Everything carries labels that name the run and the
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
//     dead, and then ends them: without the answer of our own proxy a client would not know
//     whether its request took effect. It also costs a third of a request's time.
//   - The kernel of a killed node's pod lives on and answers with resets, as that of a
//     machine whose process has died does; a machine that lost power would be silent.
//   - While the engine sets a process up it has more capabilities than the injector,
//     which therefore cannot look at it until it executes the node's file.
//   - Rules of links see the addresses of peers only. Clients come from the bridge's gateway, so no
//     link fault cuts them off.
//   - The node has the same user as its injector, and may send it signals: one that does ends its own
//     pod, and the run with it. That it can break, and no more.
//
// It is not for engines on other machines: ports are published on the loopback of the machine
// that runs the engine.
package docker

import (
	"context"
	"os"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/pods"
)

// New is the Docker runtime. The engine is the one at DOCKER_HOST, or else at the
// default socket; nothing is asked of it yet.
func New() nodes.Runtime {
	return runtime{limits: defaultLimits, published: os.Getenv(publishedPorts) == "1"}
}

type runtime struct {
	limits    limits
	published bool // ports, in any case
}

func (runtime) Name() string { return "docker" }

func (runtime) Capabilities() []faults.Capability {
	return pods.Capabilities()
}

// Check asks the engine whether it is there, is Linux, and is on this machine.
func (r runtime) Check(ctx context.Context, _ ...faults.Capability) error {
	_, err := connect(ctx, r.limits)
	return err
}
