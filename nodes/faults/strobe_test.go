package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// watched is a reading of a clock that shows some state, though want is asked, with looks as the injector takes them.
func watched(shows, want Clock, after, late time.Duration) ClockMeasurement {
	seen := ClockMeasurement{Read: true, Patched: !shows.Healthy(), After: after, Offset: shows.Ahead(after), Drift: shows.Drift, Within: 0.0001}
	const looks = 64
	for i := range time.Duration(looks) {
		at := after + max(want.Period*9/4, 40*ms)*i/looks
		offset := shows.Ahead(at)
		if shows.Period > 0 && (at-late)/shows.Period%2 == 0 {
			offset += shows.Strobe
		}
		seen.Looks = append(seen.Looks, ClockSample{After: at, Offset: offset, Within: time.Microsecond})
	}
	return seen
}

func TestAStrobeIsBelievedOnlyWhenBothSidesWereSeenInTime(t *testing.T) {
	for _, period := range []time.Duration{ms, 3 * ms, 10 * ms, 100 * ms, 333 * ms, 500 * ms} {
		want := Clock{Strobe: 10 * time.Second, Period: period, Offset: time.Minute, Drift: 0.1}
		require.NoError(t, want.Check())
		wrong := func(change func(*Clock)) Clock { s := want; change(&s); return s }
		for _, after := range []time.Duration{time.Second, time.Second + period/3, 10*time.Second + 2*period/3, time.Minute + 7*ms} {
			require.Empty(t, watched(want, want, after, 0).mismatches(want, false), "%s, %s", period, after)
			require.Empty(t, watched(want, want, after, 100*time.Microsecond).mismatches(want, false), "the wall clock was slewed")
			for name, shows := range map[string]Clock{
				"it stays behind":     wrong(func(s *Clock) { s.Strobe, s.Period = 0, 0 }),
				"it stays ahead":      wrong(func(s *Clock) { s.Offset += s.Strobe; s.Strobe, s.Period = 0, 0 }),
				"a shorter jump":      wrong(func(s *Clock) { s.Strobe -= 6 * ms }),
				"another offset":      wrong(func(s *Clock) { s.Offset += 6 * ms }),
				"half the period":     wrong(func(s *Clock) { s.Period /= 2 }),
				"a third of it":       wrong(func(s *Clock) { s.Period /= 3 }),
				"twice the period":    wrong(func(s *Clock) { s.Period *= 2 }),
				"a little longer":     wrong(func(s *Clock) { s.Period = s.Period * 6 / 5 }),
				"the true clock":      {},
				"the other way":       wrong(func(s *Clock) { s.Strobe = -s.Strobe }),
				"the strobe, no more": {Strobe: want.Strobe, Period: want.Period},
			} {
				require.NotEmpty(t, watched(shows, want, after, 0).mismatches(want, false), "%s: %s, %s", name, period, after)
			}
		}
	}
	unseen := ClockMeasurement{Read: true, Patched: true}
	want := Clock{Strobe: time.Minute, Period: 500 * ms}
	require.Equal(t, []string{"whether its wall clock jumps was not looked at"}, unseen.mismatches(want, false))
	late := watched(want, want, time.Second, 300*ms)
	require.Equal(t, []string{"its wall clock does not jump every 500ms from when that was asked"}, late.mismatches(want, false))
	require.Contains(t, late.String(), ", from 0s to +1m0s in 64 looks")
}
