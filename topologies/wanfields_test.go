package topologies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestEveryWANFieldIsReadSetAndFound(t *testing.T) {
	two, err := Parse("t.yaml", []byte("name: t\ndatacenters: [{name: a, servers: 1}, {name: b, servers: 2}]\n"))
	require.NoError(t, err)
	for _, f := range WANFields() {
		text, want := "0.5", 0.5
		switch {
		case f.time:
			text, want = "40ms", 0.04
		case f.Name == "rate" || f.Name == "queue":
			text, want = "9000", 9000
		}
		found, err := FindWANField(WANPrefix + f.Name)
		require.NoError(t, err)
		value, err := found.Parse(text)
		require.NoError(t, err, f.Name)
		edited := two.WithWAN(func(l *faults.Link) { f.Set(l, value) })
		require.Equal(t, []float64{want}, f.Of(edited, "", ""), f.Name)
		require.Equal(t, []float64{0}, f.Of(two, "a", "b"), f.Name)
	}
}

func TestARoundTripIsBothWays(t *testing.T) {
	two, err := Parse("t.yaml", []byte("name: t\ndatacenters: [{name: a, servers: 1}, {name: b, servers: 1}, {name: c, servers: 1}]\nlinks:\n"+
		"  - {between: [a, b], oneway: true, delay: 30ms, loss: 0.1}\n  - {between: [b, a], oneway: true, delay: 50ms, loss: 0.2}\n"))
	require.NoError(t, err)
	rtt, err := FindWANField("wan.rtt")
	require.NoError(t, err)
	loss, err := FindWANField("wan.loss")
	require.NoError(t, err)
	require.Equal(t, []float64{0.08}, rtt.Of(two, "a", "b"))
	require.Equal(t, []float64{0, 0.08}, rtt.Of(two, "", ""))
	require.Equal(t, []float64{0.1}, loss.Of(two, "a", "b"))
	require.Equal(t, []float64{0, 0.1, 0.2}, loss.Of(two, "", ""))
	l := faults.Link{}
	rtt.Set(&l, 0.15)
	require.Equal(t, faults.Link{Delay: 75 * time.Millisecond}, l)
}

func TestWANFieldsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, name := range []string{"loss", "wan.", "wan.lossy", "lan.loss"} {
		_, err := FindWANField(name)
		require.ErrorContains(t, err, `no "`+name+`"; there is wan.loss, wan.burst-loss, `)
	}
	loss, rtt, rate := wanFields[0], wanFields[3], wanFields[len(wanFields)-2]
	for _, text := range []string{"", "-1", "nan", "inf", "5%", "1e300"} {
		_, err := loss.Parse(text)
		require.EqualError(t, err, `wan.loss "`+text+`": want a number of 0 or more, such as 0.05`)
		_, err = rate.Parse(text)
		require.Error(t, err)
	}
	for _, text := range []string{"", "40", "-1s", "2000h"} {
		_, err := rtt.Parse(text)
		require.EqualError(t, err, `wan.rtt "`+text+`": want a time such as 40ms`)
	}
}
