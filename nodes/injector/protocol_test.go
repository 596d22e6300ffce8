package injector

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

var peer1, peer2 = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")

func TestRequestsComeBackAsTheyWere(t *testing.T) {
	for _, r := range []Request{
		{ID: 1, Apply: &State{Process: faults.Running}},
		{ID: 1<<64 - 1, Apply: &State{Links: map[netip.Addr]faults.Link{peer1: {Drop: true}, peer2: {Reject: true, Loss: 0.5}}, Process: faults.Killed}},
		{Probe: &Probe{Nonce: 7, Peers: []netip.Addr{peer1}, TimeoutMS: 250}},
		{ID: 3, Heard: &Heard{Nonce: 7}},
		{ID: 4, Apply: &State{Process: faults.Running, Links: map[netip.Addr]faults.Link{peer1: {Loss: 0.1, BurstLoss: 0.2, Burst: 3, Rate: 5, Queue: 6,
			Delay: 7, Jitter: 8, Scramble: true, Reorder: 0.3, Duplicate: 0.4, Corrupt: 1, Seed: 1<<64 - 1}}}},
		{ID: 5, Probe: &Probe{Nonce: 7, Peers: []netip.Addr{peer1}, TimeoutMS: 250,
			Trains: map[netip.Addr]faults.Train{peer1: {Count: 100, Bytes: 64, Pace: 5, Wait: 6}}}},
		{ID: 6, Apply: &State{Process: faults.PoweredOff,
			Clock: faults.Clock{Offset: -time.Hour, Drift: 0.1, Strobe: time.Second, Period: time.Millisecond, Monotonic: -0.5},
			Disk: faults.Disk{Lie: true, SlowSync: 1, SlowIO: 2, Full: true, FailRead: true, FailWrite: true, FailSync: true, Torn: 1<<64 - 1, Names: faults.NamesPOSIX,
				Damages: []faults.Damage{{Kind: faults.BitFlip, File: "raft/*", Draw: 1<<64 - 1}, {Kind: faults.Truncate, File: "a"}}}}},
		{ID: 7, Apply: &State{Process: faults.Wiped, Peers: []netip.Addr{peer1, peer2}}},
		{ID: 8, Expect: &Expect{}},
		{ID: 9, Echo: &Echo{Peer: peer1}},
	} {
		line, err := json.Marshal(r)
		require.NoError(t, err)
		got, err := ParseRequest(line)
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		``:                                 "not a request",
		`{"id":1}`:                         "request 1 holds 0 commands",
		`{"id":1,"heard":{},"apply":{}}`:   "request 1 holds 2 commands",
		`{"id":1,"heard":{}} {}`:           "something follows",
		`{"id":1,"heal":{}}`:               `unknown field "heal"`,
		`{"id":-1,"heard":{}}`:             "not a request",
		`{"apply":{"process":"sleeping"}}`: `no process state "sleeping"`,
		`{"apply":{"links":{"fe80::1":{"drop":true}}}}`:    "not an IPv4 address",
		`{"echo":{"peer":"::1"}}`:                          "not an IPv4 address",
		`{"echo":{}}`:                                      "not an IPv4 address",
		`{"apply":{"peers":["::1"]}}`:                      "not an IPv4 address",
		`{"id":1,"expect":{},"apply":{}}`:                  "request 1 holds 2 commands",
		`{"apply":{"links":{"":{"reject":true}}}}`:         "not an IPv4 address",
		`{"apply":{"links":{"10.0.0":{"drop":true}}}}`:     "not a request",
		`{"apply":{"links":{"10.0.0.1":{"loss":1.1}}}}`:    "loss of 1.1",
		`{"apply":{"links":{"fe80::1":{"loss":0.1}}}}`:     "not an IPv4 address",
		`{"apply":{"links":{"10.0.0.1":{"delay_ns":-1}}}}`: "delay of -1ns",
		`{"apply":{"links":{"10.0.0.1":{"rate":-5}}}}`:     "a rate of -5 with a queue of 0",
		`{"apply":{"links":{"10.0.0.1":{"burst":-1}}}}`:    "burst of -1",
		`{"probe":{"nonce":1,"timeout_ms":1,"peers":[],"trains":{"10.0.0.1":{"count":1,"bytes":9}}}}`:               "1 datagrams of 9 bytes",
		`{"probe":{"nonce":1,"timeout_ms":1,"peers":[],"trains":{"10.0.0.1":{"count":9,"bytes":64,"wait_ns":-5}}}}`: "a wait of -5ns",
		`{"probe":{"nonce":1,"peers":["10.0.0.1"]}}`:                                                                "timeout of 0 ms",
		`{"probe":{"nonce":1,"peers":[],"timeout_ms":99999999}}`:                                                    "timeout of 99999999 ms",
	} {
		_, err := ParseRequest([]byte(line))
		require.ErrorContains(t, err, want, line)
	}
}

func TestClocksAndDisksThatAreRefused(t *testing.T) {
	for state, want := range map[string]string{
		`"clock":{"drift":-1}`:                                             "a drift of -1 s/s",
		`"clock":{"offset_ns":9223372036854775807}`:                        "at most 100 years",
		`"clock":{"strobe_ns":5}`:                                          "want both, or neither",
		`"clock":{"period_ns":-5,"strobe_ns":5}`:                           "want both, or neither",
		`"clock":{"monotonic":-1.5}`:                                       "a monotonic drift of -1.5",
		`"clock":{"forward_ns":-5}`:                                        "never steps back",
		`"clock":{"offset":5}`:                                             `unknown field "offset"`,
		`"disk":{"slow_fsync_ns":-1}`:                                      "slow-fsync is -1ns",
		`"disk":{"slow_io_ns":60000000001}`:                                "slow-io is 1m0.000000001s",
		`"disk":{"broken":true}`:                                           `unknown field "broken"`,
		`"disk":{"damages":[{"kind":"rot","file":"a"}]}`:                   `damage "rot"`,
		`"disk":{"damages":[{"kind":"bit-flip","file":"a"},{"file":"a"}]}`: `damage ""`,
		`"disk":{"damages":[{"kind":"truncate","file":"a","draw":-1}]}`:    "not a request",
		`"disk":{"torn":-1}`:                                               "not a request",
	} {
		_, err := ParseRequest([]byte(`{"apply":{` + state + `}}`))
		require.ErrorContains(t, err, want, state)
	}
	_, err := ParseRequest([]byte(`{"apply":{"clock":{"drift":0.1,"strobe_ns":5,"period_ns":5}}}`))
	require.NoError(t, err, "since when, the pod chooses")
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"id":1,"apply":{"links":{"10.0.0.1":{"drop":true},"10.0.0.2":{"reject":true}},"process":"paused"}}`))
	f.Add([]byte(`{"id":2,"probe":{"nonce":3,"peers":["10.0.0.1"],"timeout_ms":250}}`))
	f.Add([]byte(`{"id":4,"apply":{"links":{"10.0.0.1":{"loss":0.5,"rate":9,"queue":9,"delay_ns":5}}}}`))
	f.Add([]byte(`{"id":3,"heard":{"nonce":3}}`))
	f.Add([]byte(`{"id":5,"apply":{"clock":{"offset_ns":-5,"drift":0.1,"strobe_ns":5,"period_ns":5,"monotonic":-0.5}}}`))
	f.Add([]byte(`{"id":6,"apply":{"disk":{"lying_fsync":true,"slow_fsync_ns":5,"full":true,"failing_reads":true,"torn":7},"process":"off"}}`))
	f.Add([]byte(`{"id":7,"apply":{"disk":{"damages":[{"kind":"bit-flip","file":"raft/*","draw":7},{"kind":"truncate","file":"a"}]},"process":"absent"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseRequest(line)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		require.NoError(t, err)
		r2, err := ParseRequest(again)
		require.NoError(t, err)
		last, err := json.Marshal(r2)
		require.NoError(t, err)
		require.Equal(t, string(again), string(last))
	})
}

func TestDatagrams(t *testing.T) {
	for _, d := range []datagram{{probeKind, 0}, {probeKind, 1<<64 - 1}, {markerKind, 42}} {
		got, err := parseDatagram(d.encode())
		require.NoError(t, err)
		require.Equal(t, d, got)
	}
	for _, bad := range []string{"", "FLprobe1", "FLprobe112345678x", "FLother_12345678"} {
		_, err := parseDatagram([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParseDatagram(f *testing.F) {
	f.Add(datagram{probeKind, 7}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDatagram(data)
		if err == nil {
			require.Equal(t, data, d.encode())
		}
	})
}

func TestStatLetter(t *testing.T) {
	for stat, want := range map[string]byte{
		"12 (node) T 1 12 12": 'T',
		"12 (a) R (b) S 1 1":  'S',
		"12 () Z 1":           'Z',
	} {
		got, err := statLetter([]byte(stat))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), stat)
	}
	for _, bad := range []string{"", "12", "12 (node)", "12 (node) ", "12 (node)xT"} {
		_, err := statLetter([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzStatLetter(f *testing.F) {
	f.Add([]byte("12 (a) R (b) S 1 1"))
	f.Fuzz(func(t *testing.T, stat []byte) {
		letter, err := statLetter(stat)
		if err == nil {
			require.Contains(t, stat, letter)
		}
	})
}
