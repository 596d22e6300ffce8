package injector

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// destinationPort is where TCP (RFC 9293, section 3.1) and UDP (RFC 768) have it.
const destinationPortOffset, destinationPortLength = 2, 2

// closed is a port to which nothing of a peer is let through.
type closed struct {
	peer     netip.Addr
	protocol byte
	port     uint16
}

func compareClosed(a, b closed) int {
	return cmp.Or(a.peer.Compare(b.peer), cmp.Compare(a.port, b.port), cmp.Compare(a.protocol, b.protocol))
}

// closedPorts lists what the links ask to be closed; where all is dropped, nothing is left for that.
func closedPorts(want map[netip.Addr]faults.Link) (all []closed) {
	for peer, link := range want {
		if link.Drop {
			continue
		}
		for _, port := range link.Ports.List() {
			all = append(all, closed{peer, unix.IPPROTO_TCP, port}, closed{peer, unix.IPPROTO_UDP, port})
		}
	}
	slices.SortFunc(all, compareClosed)
	return all
}

// matches is what its rule looks for: ip saddr PEER, meta l4proto PROTOCOL, th dport PORT, counter. The order is what
// readClosed expects.
func (c closed) matches() []expr.Any {
	return append(from(c.peer),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{c.protocol}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: destinationPortOffset, Len: destinationPortLength},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: binary.BigEndian.AppendUint16(nil, c.port)},
		&expr.Counter{})
}

// readClosed is the reverse of matches, of a rule that the kernel has, and how many packets met it.
func readClosed(rule *nftables.Rule) (c closed, packets uint64, ok bool) {
	var compared [][]byte
	for _, e := range rule.Exprs {
		switch e := e.(type) {
		case *expr.Cmp:
			compared = append(compared, e.Data)
		case *expr.Counter:
			packets, ok = e.Packets, true
		}
	}
	if !ok || len(compared) != 3 || len(compared[1]) != 1 || len(compared[2]) != destinationPortLength {
		return c, 0, false
	}
	peer, isAddr := netip.AddrFromSlice(compared[0])
	return closed{peer, compared[1][0], binary.BigEndian.Uint16(compared[2])}, packets, isAddr
}

// dropped asks the kernel which ports are closed to whom, and how many packets to each it has dropped since the rules last
// changed.
func (l *links) dropped() (map[netip.Addr]map[uint16]faults.PortMeasurement, error) {
	if !l.applied {
		return nil, nil // there may be no chain yet
	}
	rules, err := l.conn.GetRules(tableOfLinks(), &nftables.Chain{Name: dropChain})
	if err != nil {
		return nil, fmt.Errorf("nftables: reading the rules: %w", err)
	}
	seen := map[netip.Addr]map[uint16]faults.PortMeasurement{}
	for _, rule := range rules {
		c, packets, ok := readClosed(rule)
		if !ok {
			continue
		}
		if seen[c.peer] == nil {
			seen[c.peer] = map[uint16]faults.PortMeasurement{}
		}
		m := seen[c.peer][c.port]
		if c.protocol == unix.IPPROTO_TCP {
			m.Segments += packets
		} else {
			m.Datagrams += packets
		}
		seen[c.peer][c.port] = m
	}
	return seen, nil
}
