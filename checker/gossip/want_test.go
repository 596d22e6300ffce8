package gossip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWant(t *testing.T) {
	w, err := ParseWant("detection=5s,false-positives=2/day,dissemination=1s")
	require.NoError(t, err)
	require.Equal(t, Want{Detection: 5 * time.Second, Dissemination: time.Second, FalsePositives: 2. / 86400}, w)
	for _, bad := range []string{"", "detection", "detection=0s", "detection=fast", "speed=1s", "false-positives=1", "false-positives=0/day", "false-positives=NaN/day", "false-positives=1/fortnight"} {
		_, err := ParseWant(bad)
		require.Error(t, err, bad)
	}
}

func TestSearch(t *testing.T) {
	p := Pool{Timing: LAN(), Members: 20, Loss: .01}
	w := Want{Detection: 6 * time.Second, FalsePositives: 1. / 86400}
	require.False(t, w.Met(p.Bounds()), "the defaults take longer")
	found := p.Search(w, 1)
	require.Len(t, found, 1)
	p.Timing = found[0]
	require.True(t, w.Met(p.Bounds()))
	require.Less(t, found[0].ProbeInterval, time.Second)
	require.Empty(t, p.Search(Want{Detection: 10 * time.Millisecond}, 1))
}

func FuzzWant(f *testing.F) {
	f.Add("detection=5s,false-positives=1/day")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWant(text)
		require.True(t, err != nil || w.Detection >= 0 && w.FalsePositives >= 0 && w != Want{})
	})
}
