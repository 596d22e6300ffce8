package injector

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// ipPacket is an IPv4 packet with a header of 20 bytes.
func ipPacket(protocol byte, offset uint16, body []byte) []byte {
	header := make([]byte, 20)
	header[0] = 4<<4 | 5
	binary.BigEndian.PutUint16(header[fragmentOffset:], offset)
	header[protocolOffset] = protocol
	return append(header, body...)
}

func flipped(a, b []byte) (n int) {
	for i := range a {
		n += bits.OnesCount8(a[i] ^ b[i])
	}
	return n
}

func TestOneBitIsFlipped(t *testing.T) {
	const tcp = 6
	body := bytes.Repeat([]byte{0xa5}, 28)
	for bit := range uint64(1000) {
		stream := ipPacket(tcp, 0, body)
		was := bytes.Clone(stream)
		require.True(t, flipBit(stream, bit))
		require.Equal(t, was[:20], stream[:20], "the IP header is whole")
		require.Equal(t, 1, flipped(was, stream), "the checksum of TCP sees a single bit")

		datagram := ipPacket(protocolUDP, 0, body)
		was = bytes.Clone(datagram)
		require.True(t, flipBit(datagram, bit))
		require.Equal(t, was[:26], datagram[:26], "ports and length are whole")
		require.Equal(t, []byte{0, 0}, datagram[26:28], "no checksum")
		require.Equal(t, 1, flipped(was[28:], datagram[28:]))

		fragment := ipPacket(protocolUDP, 185, body)
		was = bytes.Clone(fragment)
		require.True(t, flipBit(fragment, bit))
		require.Equal(t, 1, flipped(was, fragment), "a later fragment has no UDP header")
	}
}

func TestWhatHasNoBitToFlipIsLeftAlone(t *testing.T) {
	for _, packet := range [][]byte{nil, {0x45}, ipPacket(6, 0, nil), ipPacket(protocolUDP, 0, make([]byte, 8))} {
		was := bytes.Clone(packet)
		require.False(t, flipBit(packet, 3))
		require.Equal(t, was, packet)
	}
}

func FuzzFlipBit(f *testing.F) {
	f.Add(ipPacket(protocolUDP, 0, make([]byte, 30)), uint64(9))
	f.Fuzz(func(t *testing.T, packet []byte, bit uint64) {
		was := bytes.Clone(packet)
		require.Equal(t, flipBit(packet, bit), flipped(was, packet) > 0)
	})
}
