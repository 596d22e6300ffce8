package nemesis

import (
	"fmt"

	"faultline/nodes/faults"
)

// Traffic is a kind of what nodes send to each other.
type Traffic string

const (
	Gossip Traffic = "gossip" // by which nodes learn of each other
	RPC    Traffic = "rpc"    // calls of servers, Raft's and those that are forwarded
)

func (t Traffic) check() error {
	if t != "" && t != Gossip && t != RPC {
		return fmt.Errorf("only is %q, not gossip or rpc", string(t))
	}
	return nil
}

// TrafficPorts is to which ports of a node each kind of traffic is sent; empty where it has no ports of its own.
type TrafficPorts struct{ Gossip, RPC faults.Ports }

// consulPorts are the defaults of Consul (https://developer.hashicorp.com/consul/docs/reference/architecture/ports).
var consulPorts = TrafficPorts{Gossip: faults.PortsOf(8301, 8302), RPC: faults.PortsOf(8300)}

func (p TrafficPorts) of(t Traffic) faults.Ports {
	if t == Gossip {
		return p.Gossip
	}
	return p.RPC
}

// OnPorts is the schedule for a system whose traffic goes to these ports, instead of Consul's. It refuses a step about traffic that the system
// does not have, or not on ports of its own.
func (s Schedule) OnPorts(system string, ports TrafficPorts) (Schedule, error) {
	s = s.clone()
	for i, step := range s.Steps {
		cut, ok := step.Fault.(Partition)
		if !ok || cut.Only == "" {
			continue
		}
		if ports.of(cut.Only) == "" {
			return s, fmt.Errorf("%sstep %d: %s: %s sends no %s to ports of its own", s.position(step), i, step.Label(), system, cut.Only)
		}
		cut.ports = &ports
		s.Steps[i].Fault = cut
	}
	return s, nil
}

// withOnly leaves out what the system does not have.
func (o Options) withOnly(f Fault) Fault {
	if cut, ok := f.(Partition); ok && cut.Only != "" && o.Ports.of(cut.Only) == "" {
		cut.Only = ""
		return cut
	}
	return f
}
