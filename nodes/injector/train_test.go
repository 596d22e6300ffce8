package injector

import (
	"bytes"
	"math/bits"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestCarsSurviveOneWrongBit(t *testing.T) {
	want := probePacket{nonce: 1<<64 - 2, number: 77, sent: time.Hour}
	for _, length := range []int{minTrainBytes, 100, maxTrainBytes} {
		good := want.encode(length)
		got, whole, err := parseProbePacket(good)
		require.NoError(t, err)
		require.True(t, whole)
		require.Equal(t, want, got)
		for bit := range length * 8 {
			bad := bytes.Clone(good)
			bad[bit/8] ^= 1 << (bit % 8)
			got, whole, err := parseProbePacket(bad)
			require.NoError(t, err)
			require.False(t, whole)
			require.Equal(t, want, got)
		}
	}
}

func TestWhatIsNoCarIsRefused(t *testing.T) {
	good := probePacket{nonce: 1}.encode(100)
	twice := bytes.Clone(good)
	twice[3], twice[carLength+3] = 0, 0
	for _, bad := range [][]byte{nil, good[:minTrainBytes-1], twice, bytes.Repeat(good, 20), probePacket{number: maxTrain}.encode(100)} {
		_, _, err := parseProbePacket(bad)
		require.Error(t, err)
	}
}

func FuzzParseProbePacket(f *testing.F) {
	f.Add(probePacket{nonce: 7, number: 1, sent: 5}.encode(64))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, whole, err := parseProbePacket(data)
		if err != nil {
			return
		}
		again := c.encode(len(data))
		wrong := 0
		for i := range data {
			wrong += bits.OnesCount8(data[i] ^ again[i])
		}
		require.Equal(t, whole, wrong == 0)
	})
}

func TestTrainsAreSummedUp(t *testing.T) {
	var all trains
	for i, c := range []probePacket{{9, 0, 0}, {9, 2, 2 * ms}, {9, 1, ms}, {9, 1, ms}, {9, 1, ms}, {9, 4, 4 * ms}} {
		all.note(c, c.number != 4, peer1, 100, time.Duration(10+i)*ms)
	}
	require.Equal(t, map[netip.Addr]faults.TrainMeasurement{peer1: {Arrived: 4, Damaged: 1, Doubled: 1, Overtaken: 1,
		Least: 9 * ms, Median: 11 * ms, P90: 11 * ms, Rate: 3 * 128 / 0.015}}, all.list(9))
	require.Nil(t, all.list(8))
	for nonce := range uint64(100) {
		all.note(probePacket{nonce: nonce}, true, peer2, 64, 0)
	}
	require.Len(t, all.by, trainsKept)
	require.NotNil(t, all.list(99))
}
