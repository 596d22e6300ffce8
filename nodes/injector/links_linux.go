package injector

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// sourceOffset is where an IPv4 header has its source address (RFC 791, section 3.1).
const sourceOffset, sourceLength = 12, 4

// icmpPortUnreachable is the code of RFC 792 by which a host refuses a datagram.
const icmpPortUnreachable = 3

// links holds the rules of one network namespace. It belongs to one goroutine.
type links struct {
	conn    *nftables.Conn
	applied bool // whether drop and reject are what the kernel has
	drop    []netip.Addr
	reject  []netip.Addr
}

// newLinks works on the network namespace of the process, or on that of the file
// descriptor netns if it is not 0.
func newLinks(netns int) (*links, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(netns))
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &links{conn: conn}, nil
}

// set replaces all rules by one batch. What already holds is left alone.
func (l *links) set(drop, reject []netip.Addr) error {
	drop, reject = sorted(drop), sorted(reject)
	if l.applied && slices.Equal(drop, l.drop) && slices.Equal(reject, l.reject) {
		return nil
	}
	l.applied = false
	table := l.conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "faultline"})
	dropped := l.emptyChain(table, "drop", nftables.ChainHookPrerouting)
	for _, peer := range drop {
		l.rule(dropped, from(peer), &expr.Verdict{Kind: expr.VerdictDrop})
	}
	rejected := l.emptyChain(table, "reject", nftables.ChainHookInput)
	for _, peer := range reject {
		l.rule(rejected, append(from(peer), isTCP()...), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
		l.rule(rejected, from(peer), &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: icmpPortUnreachable})
	}
	if err := l.conn.Flush(); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	l.applied, l.drop, l.reject = true, drop, reject
	return nil
}

// emptyChain makes sure of a base chain, which stays, and of its having no rules.
func (l *links) emptyChain(table *nftables.Table, name string, hook *nftables.ChainHook) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	chain := l.conn.AddChain(&nftables.Chain{
		Name:     name,
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  hook,
		Priority: nftables.ChainPriorityRaw, // -300: before connection tracking and NAT
		Policy:   &accept,
	})
	l.conn.FlushChain(chain)
	return chain
}

func (l *links) rule(chain *nftables.Chain, matches []expr.Any, then expr.Any) {
	l.conn.AddRule(&nftables.Rule{Table: chain.Table, Chain: chain, Exprs: append(matches, then)})
}

// from matches packets by their source: ip saddr PEER.
func from(peer netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: sourceOffset, Len: sourceLength},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: peer.AsSlice()},
	}
}

// isTCP matches by protocol: meta l4proto tcp.
func isTCP() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{unix.IPPROTO_TCP}},
	}
}

func sorted(peers []netip.Addr) []netip.Addr {
	return slices.Compact(slices.SortedFunc(slices.Values(peers), netip.Addr.Compare))
}
