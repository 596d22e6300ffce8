package injector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"sync"
	"time"

	"faultline/nodes/faults"
)

const (
	maxTrain      = 4096
	minTrainBytes = 2 * carLength
	maxTrainBytes = 1400
	trainTick     = 5 * time.Millisecond // datagrams leave in groups: sleeps are not finer than that on a busy machine
	trainsKept    = 4                    // nonces
	ipUDPHeaders  = 28
)

func checkTrain(t faults.Train) error {
	if t.Count < 1 || t.Count > maxTrain || t.Bytes < minTrainBytes || t.Bytes > maxTrainBytes {
		return fmt.Errorf("a train of %d datagrams of %d bytes: want 1 to %d of %d to %d", t.Count, t.Bytes, maxTrain, minTrainBytes, maxTrainBytes)
	}
	if t.Pace < 0 || t.Wait < 0 || time.Duration(t.Count)*t.Pace+t.Wait > maxTimeoutMS*time.Millisecond {
		return fmt.Errorf("a train with a pace of %v and a wait of %v: want at most %d ms in all", t.Pace, t.Wait, maxTimeoutMS)
	}
	return nil
}

// probePacket is one datagram of a train. It is written twice, each with a checksum, so that one
// flipped bit leaves one of the two whole, and filled up with zeros.
type probePacket struct {
	nonce  uint64
	number uint32
	sent   time.Duration
}

const (
	carKind   = "FLtr"
	carLength = 32 // kind 4, number 4, nonce 8, sent 8, padding 4, CRC-32 4
)

func (c probePacket) encode(length int) []byte {
	one := binary.BigEndian.AppendUint32([]byte(carKind), c.number)
	one = binary.BigEndian.AppendUint64(one, c.nonce)
	one = binary.BigEndian.AppendUint64(one, uint64(c.sent))
	one = binary.BigEndian.AppendUint32(one, 0)
	one = binary.BigEndian.AppendUint32(one, crc32.ChecksumIEEE(one))
	return append(append(append(make([]byte, 0, length), one...), one...), make([]byte, length-2*carLength)...)
}

// parseProbePacket tells also whether all of the datagram is as it was sent.
func parseProbePacket(data []byte) (c probePacket, whole bool, err error) {
	if len(data) < minTrainBytes || len(data) > maxTrainBytes {
		return c, false, errors.New("not of the length of a train's datagram")
	}
	copies := [][]byte{data[:carLength], data[carLength : 2*carLength]}
	i := slices.IndexFunc(copies, func(one []byte) bool {
		end := carLength - 4
		return string(one[:4]) == carKind && crc32.ChecksumIEEE(one[:end]) == binary.BigEndian.Uint32(one[end:])
	})
	if i < 0 {
		return c, false, errors.New("not a datagram of a train, or damaged twice")
	}
	one := copies[i]
	c.number = binary.BigEndian.Uint32(one[4:])
	c.nonce = binary.BigEndian.Uint64(one[8:])
	c.sent = time.Duration(binary.BigEndian.Uint64(one[16:]))
	if c.number >= maxTrain {
		return c, false, errors.New("a number beyond all trains")
	}
	return c, bytes.Equal(data, c.encode(len(data))), nil
}

// trains are those of which something has arrived. Its zero value is ready.
type trains struct {
	mu     sync.Mutex
	by     map[uint64]map[netip.Addr]*tally
	nonces []uint64 // keys of by, oldest first
}

// tally is what has arrived of one train. Delays are one-way: sender and receiver read the
// same CLOCK_MONOTONIC, because pods share a kernel.
type tally struct {
	faults.TrainMeasurement
	times  map[uint32]int // how often a number arrived
	newest uint32
	delays []time.Duration
	first  time.Duration // the earliest sending of what arrived
	last   time.Duration // the latest reading
	size   int
}

func (t *trains) note(c probePacket, whole bool, from netip.Addr, size int, read time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = map[uint64]map[netip.Addr]*tally{}
	}
	if t.by[c.nonce] == nil {
		t.by[c.nonce] = map[netip.Addr]*tally{}
		if t.nonces = append(t.nonces, c.nonce); len(t.nonces) > trainsKept {
			delete(t.by, t.nonces[0])
			t.nonces = t.nonces[1:]
		}
	}
	one := t.by[c.nonce][from]
	if one == nil {
		one = &tally{times: map[uint32]int{}, first: c.sent}
		t.by[c.nonce][from] = one
	}
	one.note(c, whole, size, read)
}

func (t *tally) note(c probePacket, whole bool, size int, read time.Duration) {
	t.times[c.number]++
	switch t.times[c.number] {
	case 1:
		t.Arrived++
	case 2:
		t.Doubled++
		return
	default:
		return
	}
	if !whole {
		t.Damaged++
	}
	if c.number < t.newest {
		t.Overtaken++
	}
	t.newest = max(t.newest, c.number)
	t.delays = append(t.delays, read-c.sent)
	t.first, t.last, t.size = min(t.first, c.sent), max(t.last, read), size+ipUDPHeaders
}

// list sums up the trains with a nonce, by sender.
func (t *trains) list(nonce uint64) map[netip.Addr]faults.TrainMeasurement {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.by[nonce]) == 0 {
		return nil
	}
	all := map[netip.Addr]faults.TrainMeasurement{}
	for from, one := range t.by[nonce] {
		a := one.TrainMeasurement
		sorted := slices.Sorted(slices.Values(one.delays))
		a.Least, a.Median, a.P90 = sorted[0], sorted[len(sorted)/2], sorted[(len(sorted)-1)*9/10]
		if span := one.last - one.first; span > 0 {
			a.Rate = float64((a.Arrived-1)*one.size) / span.Seconds()
		}
		all[from] = a
	}
	return all
}
