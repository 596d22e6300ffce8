package faults

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestPortsAreAListInFiles(t *testing.T) {
	require.Equal(t, Ports("8300,8302"), PortsOf(8302, 8300, 8302))
	for _, p := range []Ports{"", "1", "8300,8302,65535"} {
		data, err := json.Marshal(p)
		require.NoError(t, err)
		var back Ports
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, p, back)
		require.NoError(t, p.Check())
	}
	link := Link{Ports: "8300,8302"}
	text, err := yaml.Marshal(link)
	require.NoError(t, err)
	require.Equal(t, "ports: [8300, 8302]\n", string(text))
	var back Link
	require.NoError(t, yaml.Unmarshal(text, &back))
	require.Equal(t, link, back)
	for _, wrong := range []string{"ports: gossip", "ports: []", "ports: [70000]", "ports: {}"} {
		require.Error(t, yaml.Unmarshal([]byte(wrong), &back), wrong)
	}
	for _, wrong := range []Ports{"0", "2,1", "x", "1,", "1,1"} {
		require.Error(t, wrong.Check(), wrong)
	}
}

func FuzzPorts(f *testing.F) {
	for _, seed := range []string{"8302", "8300,8302", "[8300, 8302]", "0", ","} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if p := Ports(text); p.Check() == nil {
			require.Equal(t, p, PortsOf(p.List()...))
		}
		var read Ports
		if yaml.Unmarshal([]byte(text), &read) == nil {
			again, err := yaml.Marshal(read)
			require.NoError(t, err)
			var back Ports
			require.NoError(t, yaml.Unmarshal(again, &back))
			require.Equal(t, read, back)
		}
	})
}

func TestAClosedPortIsJudgedByWhatWasDropped(t *testing.T) {
	there := Pair{"a", "b"}
	closed := Conditions{Links: map[Pair]Link{there: {Ports: "8302"}}}
	shown := PortMeasurement{TCP: TCPTimeout, Segments: 1, Datagrams: 3}
	measured := func(ports map[uint16]PortMeasurement) Measurement {
		return Measurement{Links: map[Pair]LinkMeasurement{there: {UDP: true, TCP: TCPOpen, Ports: ports}, {"b", "a"}: {UDP: true, TCP: TCPOpen}}}
	}
	nodes := []string{"a", "b"}
	require.Empty(t, measured(map[uint16]PortMeasurement{8302: shown}).Mismatches(closed, nodes))
	require.Empty(t, measured(nil).Mismatches(Conditions{}, nodes))
	for what, m := range map[string]Measurement{
		"a>b: port 8302 is not closed":                                                        measured(nil),
		"a>b: a connection to port 8302 was open, not timeout":                                measured(map[uint16]PortMeasurement{8302: {TCP: TCPOpen, Segments: 1, Datagrams: 1}}),
		"a>b: a connection to port 8302 was not tried, not timeout":                           measured(map[uint16]PortMeasurement{8302: {Segments: 1, Datagrams: 1}}),
		"a>b: to port 8302, 1 segment and 0 datagrams were dropped, not at least one of each": measured(map[uint16]PortMeasurement{8302: {TCP: TCPTimeout, Segments: 1}}),
		"a>b: port 8300 is closed":                                                            measured(map[uint16]PortMeasurement{8302: shown, 8300: shown}),
	} {
		require.Equal(t, []string{what}, m.Mismatches(closed, nodes))
	}
	require.Equal(t, []string{"a>b: port 8302 is closed"}, measured(map[uint16]PortMeasurement{8302: shown}).Mismatches(Conditions{}, nodes))
}
