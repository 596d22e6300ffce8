package faults

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConditionsAndMeasurementsAreReadBackFromJSON(t *testing.T) {
	c := Conditions{
		Links:     map[Pair]Link{{"a", "b"}: {Loss: 0.1, Delay: 5, Seed: 7}, {"b", "a"}: {Reject: true}},
		Processes: map[string]ProcessState{"a": Paused},
		Clocks:    map[string]Clock{"a": {Offset: -3, Drift: 0.1}},
		Disks:     map[string]Disk{"b": {Lie: true, Damages: []Damage{{BitFlip, "raft/*", 3}}}},
	}
	m := Measurement{
		Links:     map[Pair]LinkMeasurement{{"a", "b"}: {UDP: true, TCP: TCPOpen, Train: TrainMeasurement{Sent: 3, Rate: 1.5}}},
		Processes: map[string]ProcessState{"a": Killed, "b": Running},
		Clocks:    map[string]ClockMeasurement{"a": {Read: true, Looks: []ClockSample{{1, 2, 3}}}},
		Disks:     map[string]DiskMeasurement{"b": {Tried: true, Damaged: []DamageMeasurement{{BitFlip, "raft/log", "with a bit flipped"}}}},
	}
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(text), `"a\u003eb":{"loss":0.1,"delay_ns":5,"seed":7}`)
	var c2 Conditions
	require.NoError(t, json.Unmarshal(text, &c2))
	require.Equal(t, c, c2)
	text, err = json.Marshal(m)
	require.NoError(t, err)
	var m2 Measurement
	require.NoError(t, json.Unmarshal(text, &m2))
	require.Equal(t, m, m2)
	text, err = json.Marshal(Conditions{})
	require.NoError(t, err)
	require.Equal(t, "{}", string(text))
}

func FuzzPair(f *testing.F) {
	f.Add("dc1-s1>dc1-s2")
	f.Add("a>b>c")
	f.Add(">")
	f.Fuzz(func(t *testing.T, text string) {
		var p Pair
		if p.UnmarshalText([]byte(text)) == nil {
			require.Equal(t, text, p.String())
		}
	})
}
