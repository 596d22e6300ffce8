package injector

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/stretchr/testify/require"
)

// packetMessage is what the kernel says of a packet.
func packetMessage(id uint32, packet []byte) []byte {
	m := appendHeader(nil, typePacket, 0)
	m = appendAttrHeader(m, attrPacketHeader, 7)
	m = binary.BigEndian.AppendUint32(m, id)
	m = append(m, 0x08, 0x00, 0, 0) // protocol, hook, and padding
	m = appendAttrHeader(m, attrPayload, len(packet))
	m = append(m, packet...)
	m = append(m, make([]byte, align(len(packet))-len(packet))...)
	return closeMessage(m, 0)
}

func TestQueuedPacketsAreRead(t *testing.T) {
	q, rest, err := nextQueued(append(packetMessage(7, []byte("hello")), packetMessage(8, nil)...))
	require.NoError(t, err)
	require.Equal(t, queued{id: 7, packet: []byte("hello")}, q)
	q, rest, err = nextQueued(rest)
	require.NoError(t, err)
	require.Equal(t, uint32(8), q.id)
	require.Empty(t, rest)
}

func TestErrorsAndAcknowledgementsAreRead(t *testing.T) {
	for errno, want := range map[int32]queued{-2: {errno: 2}, 0: {ack: true}} {
		m := binary.NativeEndian.AppendUint32(nil, 20)
		m = binary.NativeEndian.AppendUint16(m, uint16(netlink.Error))
		m = append(m, make([]byte, 10)...)
		m = binary.NativeEndian.AppendUint32(m, uint32(errno))
		got, rest, err := nextQueued(m)
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Empty(t, rest)
	}
}

func TestBadMessagesAreRefused(t *testing.T) {
	good := packetMessage(7, []byte("hello"))
	for n := range len(good) {
		_, _, err := nextQueued(good[:n])
		require.Error(t, err, n)
	}
	unnamed := closeMessage(appendHeader(nil, typePacket, 0), 0)
	_, _, err := nextQueued(unnamed)
	require.ErrorContains(t, err, "without a header")
	other := closeMessage(appendHeader(nil, 99, 0), 0)
	_, _, err = nextQueued(other)
	require.ErrorContains(t, err, "type 0x63")
}

// TestVerdictsOnTheWire is the layout as the kernel's headers have it, on a machine with
// little-endian integers.
func TestVerdictsOnTheWire(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes below are those of a little-endian machine")
	}
	require.Equal(t, "20000000"+"0103"+"0100"+"00000000"+"00000000"+"02000000"+"0c000200"+"00000001"+"00000007",
		hex.EncodeToString(appendVerdict(nil, 7, verdictAccept, nil)))
	require.Equal(t, "28000000"+"0103"+"0100"+"00000000"+"00000000"+"02000000"+"0c000200"+"00000001"+"00000007"+"07000a00"+"61626300",
		hex.EncodeToString(appendVerdict(nil, 7, verdictAccept, []byte("abc"))))
}

func FuzzNextQueued(f *testing.F) {
	f.Add(packetMessage(7, []byte("hello")))
	f.Add(append(packetMessage(7, []byte("a")), packetMessage(8, nil)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			_, rest, err := nextQueued(data)
			if err != nil {
				return
			}
			require.Less(t, len(rest), len(data))
			data = rest
		}
	})
}
