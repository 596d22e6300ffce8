package report

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The numbers that the doubling of TCP's timeout gives, computed by hand for one and two losses.
func TestTCPAlone(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, c := range []struct {
		rtt      time.Duration
		loss     float64
		p50, p99 float64
	}{
		{ms(40), 0, .04, .04}, {ms(40), .1, .04, .76}, {ms(40), .2, .04, 1.72}, {ms(40), .3, .28, 3.64},
		{ms(150), .05, .15, .5}, {ms(150), .1, .15, 1.2}, {ms(150), .2, .15, 2.6}, {ms(150), .3, .5, 5.4},
		{ms(300), .1, .3, 1.8}, {ms(300), .2, .3, 3.8}, {ms(300), .3, .8, 7.8},
	} {
		v := TCPAlone(c.rtt, c.loss, time.Hour)
		require.InDelta(t, c.p50, v.P50Seconds, 1e-6, "%v", c)
		require.InDelta(t, c.p99, v.P99Seconds, 1e-6, "%v", c)
		require.InDelta(t, 1, v.Success, 1e-6)
	}
	require.InDelta(t, 1-.019, TCPAlone(ms(40), .3, 2*time.Second).Success, 0.0005)
	require.InDelta(t, 1-.0021, TCPAlone(ms(150), .1, 2*time.Second).Success, 0.0005)
	cut := TCPAlone(ms(150), .3, 3*time.Second)
	require.Less(t, cut.P99Seconds, 3.0, "of what a client waits for")
	require.InDelta(t, .5, cut.P50Seconds, 1e-6)
	require.Equal(t, Served{}, TCPAlone(ms(300), .1, ms(100)), "nobody waits so long")
}
