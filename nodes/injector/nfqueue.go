package injector

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
)

// The messages of NFQUEUE, from the kernel's include/uapi/linux/netlink.h, netfilter/
// nfnetlink.h and netfilter/nfnetlink_queue.h. Headers of netlink are in the byte order of
// the host, what lies in the attributes in that of the network. A message is
//
//	nlmsghdr    u32 length, u16 type, u16 flags, u32 sequence, u32 port
//	nfgenmsg    u8 family, u8 version, be16 resource: the queue
//	nlattr …    u16 length, u16 type, payload, padded to 4 bytes
//
// Package netlink configures the queue and reads attributes. The frames of packets and verdicts
// are ours, since many of them share one buffer, and each must cost little: with the package's
// messages a packet took a tenth more of CPU time, in garbage.
const (
	nlmsgHeader = 16
	nfgenHeader = 4
	attrHeader  = 4

	subsystem   = 3 << 8        // NFNL_SUBSYS_QUEUE
	typePacket  = subsystem + 0 // NFQNL_MSG_PACKET
	typeVerdict = subsystem + 1 // NFQNL_MSG_VERDICT
	typeConfig  = subsystem + 2 // NFQNL_MSG_CONFIG

	attrPacketHeader  = 1  // NFQA_PACKET_HDR: be32 id, be16 protocol, u8 hook
	attrVerdictHeader = 2  // NFQA_VERDICT_HDR: be32 verdict, be32 id
	attrPayload       = 10 // NFQA_PAYLOAD

	attrConfigCommand = 1 // NFQA_CFG_CMD: u8 command, u8 padding, be16 family
	attrConfigParams  = 2 // NFQA_CFG_PARAMS: be32 range, u8 mode
	attrConfigMaxLen  = 3 // NFQA_CFG_QUEUE_MAXLEN: be32

	commandBind = 1 // NFQNL_CFG_CMD_BIND
	copyPacket  = 2 // NFQNL_COPY_PACKET

	verdictDrop   = 0 // NF_DROP
	verdictAccept = 1 // NF_ACCEPT

	familyIPv4  = 2 // AF_INET
	wholePacket = 0xffff
	queueNumber = 0 // a pod has one queue, in its own namespace
)

// queued is one packet that waits for a verdict, or an error that the kernel reports.
type queued struct {
	id     uint32
	packet []byte // aliases the buffer it was read from
	errno  int    // if not 0, there is no packet
	ack    bool
}

var errShort = errors.New("a netlink message is cut short")

// nextQueued reads the first message of data and gives what follows it.
func nextQueued(data []byte) (q queued, rest []byte, err error) {
	if len(data) < nlmsgHeader {
		return q, nil, errShort
	}
	length := int(binary.NativeEndian.Uint32(data))
	kind := netlink.HeaderType(binary.NativeEndian.Uint16(data[4:]))
	if length < nlmsgHeader || length > len(data) {
		return q, nil, errShort
	}
	body := data[nlmsgHeader:length]
	rest = data[min(align(length), len(data)):]
	switch kind {
	case netlink.Error:
		if len(body) < 4 {
			return q, nil, errShort
		}
		q.errno = -int(int32(binary.NativeEndian.Uint32(body)))
		q.ack = q.errno == 0
		return q, rest, nil
	case typePacket:
		q, err = parsePacket(body)
		return q, rest, err
	}
	return q, rest, fmt.Errorf("a netlink message of type %#x", uint16(kind))
}

func parsePacket(body []byte) (q queued, err error) {
	if len(body) < nfgenHeader {
		return q, errShort
	}
	attributes, err := netlink.NewAttributeDecoder(body[nfgenHeader:])
	if err != nil {
		return q, err
	}
	named := false
	for attributes.Next() {
		attributes.Do(func(payload []byte) error { // which, unlike Bytes, copies nothing
			switch attributes.Type() {
			case attrPacketHeader:
				if len(payload) < 4 {
					return errShort
				}
				q.id, named = binary.BigEndian.Uint32(payload), true
			case attrPayload:
				q.packet = payload
			}
			return nil
		})
	}
	if err := attributes.Err(); err != nil {
		return q, err
	}
	if !named {
		return q, errors.New("a queued packet without a header")
	}
	return q, nil
}

// appendVerdict adds a verdict on a packet, and what it is to be instead if packet is not nil.
func appendVerdict(out []byte, id, verdict uint32, packet []byte) []byte {
	begin := len(out)
	out = appendHeader(out, typeVerdict, netlink.Request)
	out = appendAttrHeader(out, attrVerdictHeader, 8)
	out = binary.BigEndian.AppendUint32(out, verdict)
	out = binary.BigEndian.AppendUint32(out, id)
	if packet != nil {
		out = appendAttrHeader(out, attrPayload, len(packet))
		out = append(out, packet...)
		out = append(out, make([]byte, align(len(packet))-len(packet))...)
	}
	return closeMessage(out, begin)
}

// nfgen begins the body of every message.
var nfgen = [nfgenHeader]byte{familyIPv4, 0, queueNumber >> 8, queueNumber & 0xff}

// bindMessages ask for all packets of the queue with their content, and for up to most
// of them to be held at a time.
func bindMessages(most uint32) ([]netlink.Message, error) {
	bind, params := netlink.NewAttributeEncoder(), netlink.NewAttributeEncoder()
	bind.Bytes(attrConfigCommand, []byte{commandBind, 0, 0, familyIPv4})
	params.ByteOrder = binary.BigEndian
	params.Bytes(attrConfigParams, append(binary.BigEndian.AppendUint32(nil, wholePacket), copyPacket))
	params.Uint32(attrConfigMaxLen, most)
	var messages []netlink.Message
	for _, attributes := range []*netlink.AttributeEncoder{bind, params} {
		encoded, err := attributes.Encode()
		if err != nil {
			return nil, err
		}
		messages = append(messages, netlink.Message{
			Header: netlink.Header{Type: typeConfig, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(nfgen[:], encoded...),
		})
	}
	return messages, nil
}

func appendHeader(out []byte, kind netlink.HeaderType, flags netlink.HeaderFlags) []byte {
	out = binary.NativeEndian.AppendUint32(out, 0) // the length: see closeMessage
	out = binary.NativeEndian.AppendUint16(out, uint16(kind))
	out = binary.NativeEndian.AppendUint16(out, uint16(flags))
	out = append(out, make([]byte, 8)...)
	return append(out, nfgen[:]...)
}

func appendAttrHeader(out []byte, kind uint16, payload int) []byte {
	out = binary.NativeEndian.AppendUint16(out, uint16(attrHeader+payload))
	return binary.NativeEndian.AppendUint16(out, kind)
}

func closeMessage(out []byte, begin int) []byte {
	binary.NativeEndian.PutUint32(out[begin:], uint32(len(out)-begin))
	return out
}

func align(n int) int { return (n + 3) &^ 3 }
