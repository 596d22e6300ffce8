package injector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/injector/clock"
)

// readings are two, 20 ms apart, of clocks that gained so much meanwhile.
func readings(wall, mono time.Duration) (first, second clock.Reading) {
	first = clock.Reading{At: time.Hour, WallAt: 1e18, Wall: time.Minute, Monotonic: time.Second, Within: time.Microsecond, Patched: true}
	second = first
	second.At, second.WallAt = first.At+20*time.Millisecond, first.WallAt+20*time.Millisecond
	second.Wall, second.Monotonic = first.Wall+wall, first.Monotonic+mono
	return first, second
}

func TestRatesAreToldFromTwoReadings(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		wall, mono time.Duration
		want       clock.Setting
		wallRate   float64
	}{
		"true":                         {0, 0, clock.Setting{}, 0},
		"drift":                        {2 * ms, 1 * ms, clock.Setting{Clock: faults.Clock{Drift: 0.1}}, 0.1},
		"no drift, though it is asked": {0, 0, clock.Setting{Clock: faults.Clock{Drift: 0.1}}, 0},
		"a jump ahead":                 {10_000 * ms, 0, clock.Setting{Clock: faults.Clock{Strobe: 10 * time.Second}}, 0},
		"a jump back, and a drift":     {-9_999 * ms, 0, clock.Setting{Clock: faults.Clock{Strobe: 10 * time.Second, Drift: 0.05}}, 0.05},
		"a jump that nobody asked for": {30 * ms, 0, clock.Setting{Clock: faults.Clock{Strobe: 10 * time.Second}}, 1.5},
	} {
		var r faults.ClockMeasurement
		first, second := readings(c.wall, c.mono)
		rates(&r, first, second, c.want)
		require.InDelta(t, c.wallRate, r.Drift, 1e-9, name)
		require.InDelta(t, float64(c.mono)/float64(20*ms), r.Monotonic, 1e-9, name)
		require.InDelta(t, 0.0001, r.Within, 1e-9, name)
	}
	var stepped faults.ClockMeasurement
	first, second := readings(0, 0)
	second.WallAt = first.WallAt - time.Hour
	rates(&stepped, first, second, clock.Setting{})
	require.Zero(t, stepped, "somebody has set the machine's clock: nothing is said")
}
