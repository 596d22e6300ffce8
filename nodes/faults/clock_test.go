package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClocksMergeInAnyOrder(t *testing.T) {
	states := []Clock{
		{}, {Offset: time.Hour}, {Offset: -time.Second}, {Drift: 0.25}, {Drift: -0.5, Offset: time.Minute},
		{Strobe: time.Second, Period: time.Millisecond}, {Strobe: -time.Second, Period: time.Second}, {Monotonic: 0.5}, {Forward: time.Minute},
	}
	for _, a := range states {
		require.Equal(t, a, a.Merge(Clock{}))
		for _, b := range states {
			require.Equal(t, a.Merge(b), b.Merge(a))
			for _, c := range states {
				require.Equal(t, a.Merge(b).Merge(c), a.Merge(b.Merge(c)))
			}
		}
	}
}

func TestClockStatesThatAreRefused(t *testing.T) {
	for _, refused := range []struct {
		why   string
		state Clock
	}{
		{"offset is 1ms", Clock{Offset: time.Millisecond}},
		{"offset is 876000h0m0s: want", Clock{Offset: 100 * 365 * 24 * time.Hour}},
		{"strobe is 1µs", Clock{Strobe: time.Microsecond, Period: time.Second}},
		{"drift is 11", Clock{Drift: 11}},
		{"drift is 0.0001", Clock{Drift: 0.0001}},
		{"monotonic is -1", Clock{Monotonic: -1}},
		{"forward is -1m0s", Clock{Forward: -time.Minute}},
		{"forward is 1s, which a monotonic clock at 0.1 s per s makes up for within 20s", Clock{Forward: time.Second, Monotonic: 0.1}},
		{"need each other", Clock{Strobe: time.Second}},
		{"need each other", Clock{Period: time.Second}},
		{"period is 1ns", Clock{Strobe: time.Second, Period: 1}},
		{"period is 501ms", Clock{Strobe: time.Second, Period: 501 * time.Millisecond}},
	} {
		require.ErrorContains(t, refused.state.Check(), refused.why)
	}
	require.NoError(t, Clock{Offset: -time.Hour, Drift: 0.1, Strobe: time.Second, Period: time.Second / 2, Monotonic: -0.5}.Check())
}

func TestClocksAreBelievedOnlyWhenRead(t *testing.T) {
	want := Clock{Offset: time.Hour, Drift: 0.5}
	good := ClockMeasurement{Read: true, After: 10 * time.Second, Offset: time.Hour + 5*time.Second, Patched: true, Drift: 0.5001, Within: 0.0001}
	require.Empty(t, good.mismatches(want, false))
	require.Equal(t, "clock +1h0m5s gaining +0.5001 s/s", good.String())
	late := good
	late.After = 11 * time.Second
	require.Equal(t, []string{"its wall clock is 1h0m5s ahead, not 1h0m5.5s"}, late.mismatches(want, false))
	soon := good
	soon.After, soon.Offset, soon.Drift = time.Millisecond, time.Hour, 0
	require.Equal(t, []string{"its wall clock gains 0.0000 s/s, not 0.5"}, soon.mismatches(want, false), "no offset tells of a drift that soon")
	slow := good
	slow.Within = 0.3
	require.Equal(t, []string{"what its wall clock gains was read too slowly to be told"}, slow.mismatches(want, false))
	require.Equal(t, []string{"its clock was not read"}, ClockMeasurement{}.mismatches(want, false))
	require.Empty(t, ClockMeasurement{}.mismatches(want, true))
	require.Empty(t, ClockMeasurement{Read: true}.mismatches(Clock{}, false))
	require.NotEmpty(t, ClockMeasurement{Read: true, Patched: true}.mismatches(Clock{}, false), "the heal takes everything back")
	require.NotEmpty(t, good.mismatches(Clock{}, false))

	fast := Clock{Monotonic: 0.5}
	require.NotEmpty(t, ClockMeasurement{Read: true, After: time.Second}.mismatches(fast, false))
	gained := ClockMeasurement{Read: true, After: time.Second, Gained: time.Second / 2, Patched: true}
	require.Equal(t, []string{"its monotonic clock gains 0.0000 s/s, not 0.5"}, gained.mismatches(fast, false))
	gained.Monotonic = 0.5
	require.Empty(t, gained.mismatches(fast, false))
	gained.Gained = 2 * time.Second
	require.Len(t, gained.mismatches(fast, false), 1, "that much it cannot have gained since")
	gained.Base = 3 * time.Second / 2
	require.Empty(t, gained.mismatches(fast, false), "it was ahead before")

	healed := ClockMeasurement{Read: true, After: time.Second, Gained: time.Hour, Base: time.Hour, Patched: true}
	require.Empty(t, healed.mismatches(Clock{}, false), "it keeps what it gained")
	require.Equal(t, []string{"its monotonic clock has gained 0s beside 1h0m0s, not 1m0s and up to 0s by its rate"},
		healed.mismatches(Clock{Forward: time.Minute}, false), "what it gained before is no proof")
	healed.Monotonic = 0.5
	require.NotEmpty(t, healed.mismatches(Clock{}, false), "and gains no more")
}
