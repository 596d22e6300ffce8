//go:build linux

// Package space is what runs inside the namespaces of a cluster of the local runtime. The
// program is cmd/injector, so that one static binary is all that a pod needs:
//
//	injector space CONFIG    PID 1 of the cluster: owns the bridge, makes the pods, hands out sockets
//	injector pod CONFIG      PID 1 of a pod: owns the address, is the injector, starts the node
//	injector node            gives up every capability, then becomes the node
//
// The harness starts the first in new user, network, mount and pid namespaces, and that one
// starts the others. Everything else comes by inherited descriptors, so that nothing has a name
// that others could reach, and nothing outlives its use: a space ends when its channel to
// the harness does, and with a pid namespace's PID 1 the kernel ends all that is in it.
//
//	space   3                channel: see Channel
//	        4+3i 5+3i 6+3i   what the pod i gets as 3, 4, 5
//	pod     0                a byte once its network device is there
//	        3                the injector's requests and replies (package injector)
//	        4                start the node, and how it ends: see Order and Event
//	        5                the node's log
//	node    3                the injector's word that the pod is ready; the node itself does not get it
//
// So the node cannot speak with its pod's injector at all. With the right to disks, PID 1 of a pod
// mounts a file system of ours over the node's data, for which /dev/fuse is in the pod.
//
// It is not for the harness's side of this: that is package local.
package space

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"faultline/nodes"
	"faultline/nodes/injector"
	"faultline/workloads/history"
)

// Config is the cluster to make.
type Config struct {
	Gateway netip.Prefix // the bridge's own address; its network is that of the pods
	Pods    []Pod
}

// Pod is one of them. The files are those of the machine.
type Pod struct {
	Name     string
	Addr     netip.Prefix
	Injector string   // program
	Node     string   // program; may be empty
	Files    []string // files and directories that are at the same paths in the pod, for reading
	Data     string   // directory
	Root     string   // an empty directory, to build the pod's file system on
	Rights   injector.Rights
}

// DataDir is a node's directory, as it sees it.
const DataDir = "/data"

// Order is what a pod can be told; a line of JSON.
type Order struct {
	Start nodes.Launch `json:"start"` // the node, so
}

// Event is what a pod tells; a line of JSON.
type Event struct {
	Kind Kind      `json:"kind"`
	Text string    `json:"text,omitempty"` // of Failed: why
	At   time.Time `json:"at"`             // of all

	PID    int    `json:"pid,omitempty"`    // of Started and Ended, in the pod
	Code   int    `json:"code,omitempty"`   // of Ended by an exit
	Signal string `json:"signal,omitempty"` // of Ended by a signal: SIGKILL
}

// Process is a Started or an Ended of that node, for a history.
func (e Event) Process(node string) history.ProcessEvent {
	kind := history.ProcessStarted
	if e.Kind == Ended {
		kind = history.ProcessEnded
	}
	return history.ProcessEvent{Node: node, Kind: kind, PID: e.PID, At: e.At, Code: e.Code, Signal: e.Signal}
}

// Kind of an Event.
type Kind string

const (
	Ready   Kind = "ready"   // the pod is; the first event
	Started Kind = "started" // the node's process is
	Failed  Kind = "failed"  // it could not be started
	Ended   Kind = "ended"   // the node's process did, by itself or by a signal
)

const (
	stderrFD     = 2
	channelFD    = 3
	podFDs       = 3 // that a pod inherits, from 3 on
	controlFD    = 3
	supervisorFD = 4
	logFD        = 5
	entryFD      = 3 // of a node

	bridgeName = "bridge0"
	deviceName = "eth0"
)

// Command is the command line that makes a process of it.
func (c Config) Command() ([]string, error) { return command("space", c) }

func (p Pod) command() ([]string, error) { return command("pod", p) }

func command(name string, config any) ([]string, error) {
	text, err := json.Marshal(config)
	return []string{name, string(text)}, err
}

// Main is the program: it does what args, a command with its arguments, say, and returns
// when that is over. known reports whether there is such a command.
func Main(args []string) (known bool, err error) {
	switch {
	case len(args) == 2 && args[0] == "space":
		var c Config
		if err := json.Unmarshal([]byte(args[1]), &c); err != nil {
			return true, fmt.Errorf("config: %w", err)
		}
		return true, c.run(os.NewFile(channelFD, "channel"))
	case len(args) == 2 && args[0] == "pod":
		var p Pod
		if err := json.Unmarshal([]byte(args[1]), &p); err != nil {
			return true, fmt.Errorf("config: %w", err)
		}
		return true, p.run()
	case len(args) == 1 && args[0] == "node":
		return true, becomeNode()
	}
	return false, nil
}
