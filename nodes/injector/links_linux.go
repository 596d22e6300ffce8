package injector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// sourceOffset is where an IPv4 header has its source address (RFC 791, section 3.1).
const sourceOffset, sourceLength = 12, 4

// icmpPortUnreachable is the code of RFC 792 by which a host refuses a datagram.
const icmpPortUnreachable = 3

// links holds the rules of one network namespace. It belongs to one goroutine.
type links struct {
	conn    *nftables.Conn
	applied bool // whether what follows is what the kernel has
	drop    []netip.Addr
	reject  []netip.Addr
	shaped  []netip.Addr
	closed  []closed
	guarded bool         // whether others than the peers are kept out
	peers   []netip.Addr // if guarded

	queue  *queue // nil until a link is shaped
	compat bool   // the kernel has no queue expression of nftables
	except uint32 // index of the interface whose packets never go to the queue
}

// newLinks works on the network namespace of the process, or on that of the file
// descriptor netns if it is not 0.
func newLinks(netns int) (*links, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(netns))
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &links{conn: conn, except: loopback}, nil
}

// set replaces all rules by one batch. What already holds is left alone.
func (l *links) set(want map[netip.Addr]faults.Link) error {
	var drop, reject []netip.Addr
	shapes := map[netip.Addr]faults.Link{}
	for peer, link := range want {
		switch {
		case link.Drop:
			drop = append(drop, peer)
		case link.Reject:
			reject = append(reject, peer)
		}
		if link.Shaped() {
			shapes[peer] = link
		}
	}
	drop, reject, shaped := sorted(drop), sorted(reject), sorted(slices.Collect(maps.Keys(shapes)))
	if err := l.shape(shapes); err != nil {
		return err
	}
	closed := closedPorts(want)
	if l.applied && slices.Equal(drop, l.drop) && slices.Equal(reject, l.reject) && slices.Equal(shaped, l.shaped) && slices.Equal(closed, l.closed) {
		return nil
	}
	l.applied = false
	l.drop, l.reject, l.shaped, l.closed = drop, reject, shaped, closed
	err := l.replace()
	if err != nil && len(shaped) > 0 && !l.compat {
		l.compat = true
		if again := l.replace(); again != nil {
			l.compat = false
			err = fmt.Errorf("%w; with x_tables: %w (delays and losses need nft_queue or xt_NFQUEUE, and nfnetlink_queue)", err, again)
		} else {
			err = nil
		}
	}
	l.applied = err == nil
	return err
}

// shape tells the queue, which is opened as soon as there is something to tell, and is
// told before any rule hands it packets.
func (l *links) shape(shapes map[netip.Addr]faults.Link) (err error) {
	if l.queue == nil {
		if len(shapes) == 0 {
			return nil
		}
		if l.queue, err = openQueue(); err != nil {
			return err
		}
	}
	if err = l.queue.set(shapes); errors.Is(err, errQueueEnded) { // the next change gets a new one
		err = errors.Join(err, l.queue.close())
		l.queue = nil
	}
	return err
}

// close gives up the queue; the rules stay, and let packets pass that nobody takes.
func (l *links) close() error {
	if l.queue == nil {
		return nil
	}
	return l.queue.close()
}

func (l *links) overrun() int {
	if l.queue == nil {
		return 0
	}
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return l.queue.overrun
}

// replace makes the rules in the kernel be those of l. The chains stay: with a chain the
// kernel would throw away the packets that its rules have handed to the queue.
func (l *links) replace() error {
	table := l.conn.AddTable(tableOfLinks())
	dropped := l.emptyChain(table, dropChain, nftables.ChainHookPrerouting, first)
	for _, peer := range l.drop {
		l.rule(dropped, from(peer), &expr.Verdict{Kind: expr.VerdictDrop})
	}
	for _, c := range l.closed {
		l.rule(dropped, c.matches(), &expr.Verdict{Kind: expr.VerdictDrop})
	}
	queued := l.emptyChain(table, "shape", nftables.ChainHookPrerouting, second)
	for _, peer := range l.shaped {
		l.rule(queued, append(notOver(l.except), from(peer)...), l.toQueue())
	}
	if l.guarded {
		l.guard()
	}
	rejected := l.emptyChain(table, "reject", nftables.ChainHookInput, first)
	for _, peer := range l.reject {
		l.rule(rejected, append(from(peer), isTCP()...), &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})
		l.rule(rejected, from(peer), &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: icmpPortUnreachable})
	}
	if err := l.conn.Flush(); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	return nil
}

const dropChain = "drop"

func tableOfLinks() *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyIPv4, Name: "faultline"}
}

// The priorities of chains: before connection tracking and NAT, one behind the other.
var (
	first  = nftables.ChainPriorityRaw // -300
	second = nftables.ChainPriorityRef(*nftables.ChainPriorityRaw + 1)
)

// toQueue hands a packet to the queue, or accepts it if nobody has it open. Where nftables
// has no expression for that, the target of x_tables does the same; its argument is
// struct xt_NFQ_info_v3 of the kernel's include/uapi/linux/netfilter/xt_NFQUEUE.h: queue,
// number of queues, flags, each a u16 of the host, padded to 8 bytes.
func (l *links) toQueue() expr.Any {
	if !l.compat {
		return &expr.Queue{Num: queueNumber, Total: 1, Flag: expr.QueueFlagBypass}
	}
	const queues, bypass, padding = 1, 1, 0
	var info []byte
	for _, field := range []uint16{queueNumber, queues, bypass, padding} {
		info = binary.NativeEndian.AppendUint16(info, field)
	}
	unknown := xt.Unknown(info)
	return &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &unknown}
}

// loopback is the index of the loopback interface, the first in every namespace.
const loopback = 1

// over matches packets that came over an interface, and notOver the others: meta iif INDEX.
func over(index uint32) []expr.Any    { return iif(expr.CmpOpEq, index) }
func notOver(index uint32) []expr.Any { return iif(expr.CmpOpNeq, index) }

func iif(op expr.CmpOp, index uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIF, Register: 1},
		&expr.Cmp{Register: 1, Op: op, Data: binary.NativeEndian.AppendUint32(nil, index)},
	}
}

// emptyChain makes sure of a base chain, which stays, and of its having no rules.
func (l *links) emptyChain(table *nftables.Table, name string, hook *nftables.ChainHook, priority *nftables.ChainPriority) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	chain := l.conn.AddChain(&nftables.Chain{
		Name:     name,
		Table:    table,
		Type:     nftables.ChainTypeFilter,
		Hooknum:  hook,
		Priority: priority,
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
