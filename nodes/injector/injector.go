// Package injector makes the faults of one pod, from inside the pod, on Linux.
//
// A pod is what owns the address of a node: a network namespace and a pid namespace
// that outlive the node's process. Three programs of the pod come from here (see
// cmd/injector):
//
//	injector hold     PID 1 of the pod: makes the faults, lets clients in, and reaps zombies
//	injector serve    carries commands, a JSON line each, from its standard input to hold
//	injector enter    asks hold to make all ready, then becomes the node
//
// A runtime starts serve in the pod, however it can, and speaks with hold by a Client over
// that process's standard streams, which no fault of the pod can cut:
//
//	c := injector.NewClient(stream)
//	reply, err := c.Do(ctx, injector.Request{Apply: &injector.State{
//		Drop:    []netip.Addr{peer},
//		Process: injector.Running,
//	}})
//
// A command carries the whole desired state of the pod, so applying it twice is
// applying it once, and what was asked stays as it is if a stream breaks. It is not for long,
// though: a pod that nobody has commanded for 10 s has lost its harness, and ends.
//
// # Who may speak with a pod
//
// The node must not command its own injector. Where a runtime has streams of its own into PID 1
// (local), nobody listens. Hold listens, in the pod's network namespace that the node shares,
// where the node cannot do harm:
//
//   - commands come by a socket in ControlDir, which is in a mount namespace that the node is not
//     in; /proc/1/root and all else of PID 1 the kernel denies to those who lack capabilities of it;
//   - entries (see there) come by an abstract socket, and count only when the runtime has just said
//     that it starts the node;
//   - clients of the node's API come by ProxyPort, and must know the Secret. PID 1 has that in its
//     environment, which the kernel denies to the node as well.
//
// A pod of Hold is guarded: a chain in the input hook lets in packets of its own, those of the
// peers that the last State names, and those to the proxy, and refuses all others. So whoever
// else is on the machine does not become a client of the system under test.
//
// # Links
//
// Faults are made where packets arrive. A drop in the sender's output hook would show up
// to the sender as EPERM, which no real network does. Rules are one nftables table, in
// the pod's own namespace:
//
//	chain drop    hook prerouting, priority -300    ip saddr PEER drop
//	                                                ip saddr PEER, tcp or udp dport PORT: counter drop
//	chain shape   hook prerouting, priority -299    ip saddr PEER, not over lo: queue 0 bypass
//	chain reject  hook input,      priority -300    ip saddr PEER tcp: reset, else: ICMP port unreachable
//	chain outside hook input,      priority -299    of guarded pods, in a table of both families: see guard
//
// The kernel accepts reject in the input hook everywhere; in prerouting only newer ones
// do. All that is meant for the pod passes both, and drop comes first, so Drop wins. One
// netlink batch flushes and refills all chains: a packet sees all of the old rules or
// all of the new ones. Packets of one source are refused whatever they belong to, also
// those of connections that were open before, and also the resets and ICMP errors by
// which that source refuses ours.
//
// # Bad links
//
// What is neither dropped nor refused may be lost by chance, delayed, limited to a rate,
// reordered, doubled or damaged (Shape). The kernel hands such packets to a queue of
// ours (NFQUEUE) and keeps them until it is told what to do with them. That needs no
// netem, which many kernels lack. It needs nfnetlink_queue, and either the queue expression of
// nftables or the NFQUEUE target of x_tables (whichever is there is used). The layouts
// are in the kernel's include/uapi/linux/netfilter/nfnetlink_queue.h and xt_NFQUEUE.h.
//
//   - One thread waits in ppoll for packets and deadlines. Delays are kept to about 0.3 ms;
//     a packet costs about 5 µs.
//   - The kernel cuts what the sender's offloads had joined (GSO) into real packets first and
//     fills in their checksums, so each packet meets its own fate.
//   - Random numbers come from the seed in the Shape, a fixed count of them for every packet,
//     so that the n-th packet of a link meets the same fate in every run.
//   - When the rules change, packets that are held keep their fates. The chains are never
//     deleted, as with a chain the kernel would throw away all that is held. If this
//     process ends, what is held is lost, and packets then pass (bypass).
//   - A doubled packet is sent again by a raw socket to ourselves, which takes NET_RAW. It
//     comes over lo, where no rule for the queue sees it.
//   - A damaged packet has one wrong bit. TCP's checksum stays as it was, so the kernel drops
//     the packet and the peer sends it again: no program reads a wrong byte from a stream.
//     UDP's checksum is taken off, so the program reads the datagram as it is, as it would
//     behind a device that writes checksums anew. See flipBit.
//   - Where packets come faster than they can be handed over, the kernel drops them. A reply
//     to Heard tells how often that was (Overrun).
//
// # Processes
//
// The processes of the node are those of the pod's pid namespace that do not execute the injector,
// whatever they execute and however many there are: the one that entered, and what it starts.
// They are stopped, continued and killed by plain signals, which need no capability as
// long as the node runs with the same uid; a stop is reported done when every thread
// has stopped, a kill when the process is gone. To read which file a process executes
// the kernel demands that the reader has all capabilities that the process has: a
// runtime gives the node no more of them than the injector.
//
// To be Off is to be killed and to lose what the disk had not been told to keep; to be Absent is
// to be killed and to have an empty disk. Neither is told of a pod before it has been seen.
//
// # Entries
//
// Whoever starts the node starts "injector enter", which asks hold, and executes the node when hold
// says that all is ready; where PID 1 starts the node itself, it tells it by a pipe that it
// inherits. So every start meets the disk and, from the first instruction on, the clock that are
// asked for. A node that could enter at other times would gain by it (see Pod.enterExpected).
//
// # Clocks
//
// Package clock patches the vDSO of the node's process while its clock is asked to be wrong, and
// takes that back at the heal. Drift and strobe count from when they were asked for, over
// restarts of the node. A reading executes what the process would execute, twice, to tell what a
// clock gains a second; what the monotonic clock gained earlier, and keeps, is told apart.
//
// # Disks
//
// With the right to disks, a fourth program, "injector probe", tries the disk for hold, which must never wait for the file system that it
// serves; and package disk puts a file system of ours before the node's data, for the
// life of the pod: over the directory itself where the node shares hold's mount namespace
// (local), else in the namespace of each process that enters (docker). Files are damaged, and
// mended, while the node is down: it is killed for that, and whoever asked starts it again.
//
// # Probes
//
// Every pod answers on ProbePort, UDP and TCP, so links can be probed while the node
// is paused or killed. A probe sends datagrams with a nonce to each peer and tries to
// connect to it; the peer is then asked whose datagrams with that nonce have
// arrived. So each direction is judged apart, and by the side that would have suffered.
// Of a port that is closed to a peer the rule itself counts what it drops, and a probe sends it a datagram and tries to
// connect: nothing of that reaches the node.
// A link that is asked to be bad gets a train of numbered datagrams, which carry the time
// of their sending. Pods share a kernel and so a CLOCK_MONOTONIC: delays are one-way.
//
// # Echoes
//
// What TCP alone makes of a link is measured by small requests and answers on a few established connections to the ProbePort of a
// peer, one at a time on each, from the first Echo on for as long as more follow. They meet the link as the node's own packets do.
//
// It is not for starting nodes nor for deciding what to break: that is for the runtimes
// and for package nemesis.
package injector

// NodePath is the program of the system's image, as the node sees it.
const NodePath = "/bin/node"

// ProbePort is the UDP and TCP port of a pod on which its injector answers probes.
const ProbePort = 19998

// ControlDir is the directory of the socket at which Hold takes commands. Whoever can open it
// commands the pod: it must be the holder's own, in a mount namespace that the node is not in.
// (The node cannot go there by /proc/1/root: that takes the capabilities of PID 1; see
// proc_pid_root(5) and ptrace(2).)
const ControlDir = "/run"
