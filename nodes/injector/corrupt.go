package injector

import "encoding/binary"

// Offsets in an IPv4 header (RFC 791, section 3.1) and a UDP header (RFC 768).
const (
	fragmentOffset = 6
	protocolOffset = 9
	udpChecksum    = 6
	udpHeader      = 8
)

const protocolUDP = 17

// flipBit flips one bit of a packet behind its IP header, and reports whether it had one to
// flip. It is in the data of a datagram, whose checksum is taken off, since RFC 768 lets
// a sender leave it out: the receiver reads the wrong bit. Everything else keeps its
// checksum, by which the receiver's kernel throws it away (an Internet checksum, RFC 1071,
// sees every single bit). That is what becomes of corrupted packets on a real network too,
// but for datagrams that some device on the way wrote a new checksum for.
func flipBit(packet []byte, bit uint64) bool {
	begin := 0
	if len(packet) >= 20 {
		begin = int(packet[0]&0xf) * 4
	}
	if begin < 20 || len(packet) <= begin {
		return false
	}
	first := binary.BigEndian.Uint16(packet[fragmentOffset:])&0x1fff == 0 // of the fragments, or the only one
	body := packet[begin:]
	if packet[protocolOffset] == protocolUDP && first {
		if len(body) <= udpHeader {
			return false
		}
		binary.BigEndian.PutUint16(body[udpChecksum:], 0)
		body = body[udpHeader:]
	}
	bit %= uint64(len(body)) * 8
	body[bit/8] ^= 1 << (bit % 8)
	return true
}
