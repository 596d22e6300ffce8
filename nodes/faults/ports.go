package faults

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Ports are port numbers, as a value that compares: sorted, each once, with commas between. In YAML and JSON they are a
// list of numbers.
type Ports string

// PortsOf makes Ports of numbers in any order.
func PortsOf(numbers ...uint16) Ports {
	var words []string
	for _, n := range slices.Compact(slices.Sorted(slices.Values(numbers))) {
		words = append(words, strconv.Itoa(int(n)))
	}
	return Ports(strings.Join(words, ","))
}

// List is the numbers, sorted.
func (p Ports) List() []uint16 {
	if p == "" {
		return nil
	}
	var numbers []uint16
	for word := range strings.SplitSeq(string(p), ",") {
		if n, err := strconv.ParseUint(word, 10, 16); err == nil {
			numbers = append(numbers, uint16(n))
		}
	}
	return numbers
}

// Join is the ports of both.
func (p Ports) Join(o Ports) Ports {
	if p == "" || o == "" {
		return p + o
	}
	return PortsOf(append(p.List(), o.List()...)...)
}

// mostPorts bounds how many ports of one link are probed.
const mostPorts = 16

// Check refuses what is not Ports as PortsOf makes them, and port 0, which nobody listens on.
func (p Ports) Check() error {
	switch all := p.List(); {
	case p != PortsOf(all...):
		return fmt.Errorf("ports %q: want numbers, sorted", string(p))
	case slices.Contains(all, 0):
		return fmt.Errorf("ports: want numbers from 1 to 65535")
	case len(all) > mostPorts:
		return fmt.Errorf("%d ports: want at most %d", len(all), mostPorts)
	}
	return nil
}

func (p Ports) MarshalJSON() ([]byte, error) { return json.Marshal(p.List()) }

func (p *Ports) UnmarshalJSON(data []byte) error {
	var numbers []uint16
	if err := json.Unmarshal(data, &numbers); err != nil {
		return err
	}
	*p = PortsOf(numbers...)
	return nil
}

func (p Ports) MarshalYAML() (any, error) {
	node := new(yaml.Node)
	err := node.Encode(p.List())
	node.Style = yaml.FlowStyle
	return node, err
}

func (p *Ports) UnmarshalYAML(node *yaml.Node) error {
	var numbers []uint16
	if err := node.Decode(&numbers); err != nil || len(numbers) == 0 {
		return fmt.Errorf("line %d: want a list of port numbers, such as [8302]", node.Line)
	}
	*p = PortsOf(numbers...)
	return nil
}

// PortMeasurement is what became of probes to a port whose packets are asked to vanish.
type PortMeasurement struct {
	TCP TCPResult `json:"tcp,omitempty"` // a connection attempt to it; empty: none was made
	// Segments of TCP and Datagrams of UDP to the port that the receiver has dropped since its rules last changed.
	Segments  uint64 `json:"segments"`
	Datagrams uint64 `json:"datagrams"`
}

// portMismatches lists where ports are not closed, or open, as the state asks. That other ports are open is for the other
// probes to tell, which go to a port of their own.
func (m LinkMeasurement) portMismatches(want Link) []string {
	var asked []uint16
	if !want.Drop {
		asked = want.Ports.List()
	}
	var out []string
	for _, port := range slices.Compact(slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(m.Ports)), asked...)))) {
		switch seen, closed := m.Ports[port]; {
		case !slices.Contains(asked, port):
			out = append(out, fmt.Sprintf("port %d is closed", port))
		case !closed:
			out = append(out, fmt.Sprintf("port %d is not closed", port))
		case seen.TCP != TCPTimeout:
			out = append(out, fmt.Sprintf("a connection to port %d was %s, not %s", port, orNotTried(seen.TCP), TCPTimeout))
		case seen.Segments == 0 || seen.Datagrams == 0:
			out = append(out, fmt.Sprintf("to port %d, %s and %s were dropped, not at least one of each", port,
				Count(int(seen.Segments), "segment"), Count(int(seen.Datagrams), "datagram")))
		}
	}
	return out
}

func orNotTried(r TCPResult) string {
	if r == "" {
		return "not tried"
	}
	return string(r)
}
