package injector

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// admit has the next set let these peers in, and nobody else but to the proxy.
func (l *links) admit(peers []netip.Addr) {
	peers = sorted(peers)
	l.applied = l.applied && l.guarded && slices.Equal(peers, l.peers)
	l.guarded, l.peers = true, peers
}

// guard refuses what comes from outside the cluster, unless it goes to the proxy: in a table for
// IPv6 too, since a node that listens on all addresses could be reached by the one that every
// interface may give itself. Peers are let in by what they are, and nobody is kept out by what
// they are not: on the engine's machine anybody may use any address of that.
//
//	chain outside  hook input, priority -299  over lo, ip saddr PEER, tcp dport 19997: accept, else: refuse
func (l *links) guard() {
	table := l.conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "faultline"})
	chain := l.emptyChain(table, "outside", nftables.ChainHookInput, second)
	accept := &expr.Verdict{Kind: expr.VerdictAccept} // as far as this chain is concerned
	l.rule(chain, over(loopback), accept)
	for _, peer := range l.peers {
		l.rule(chain, append(isIPv4(), from(peer)...), accept)
	}
	l.rule(chain, append(isTCP(), toPort(ProxyPort)...), accept)
	l.rule(chain, isTCP(), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
	l.rule(chain, nil, &expr.Verdict{Kind: expr.VerdictDrop})
}

// isIPv4 matches by family: meta nfproto ipv4.
func isIPv4() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{unix.NFPROTO_IPV4}},
	}
}

// toPort matches by destination port, which TCP has at its second byte pair (RFC 9293, section 3.1).
func toPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: binary.BigEndian.AppendUint16(nil, port)},
	}
}
