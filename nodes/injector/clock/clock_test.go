package clock

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		s    Setting
		want string // in the error; "" for none
	}{
		{"truth", Setting{}, ""},
		{"everything", Setting{Clock: faults.Clock{Offset: -maxOffset, Drift: -0.999, Strobe: -time.Second, Period: 1, Monotonic: maxRate, Forward: maxForward}, Since: 1}, ""},
		{"offset", Setting{Clock: faults.Clock{Offset: maxOffset + 1}}, "100 years"},
		{"offset back", Setting{Clock: faults.Clock{Offset: -maxOffset - 1}}, "100 years"},
		{"drift", Setting{Clock: faults.Clock{Drift: -1}, Since: 1}, "more than -1"},
		{"drift too fast", Setting{Clock: faults.Clock{Drift: 100.5}, Since: 1}, "at most 100"},
		{"drift of nothing", Setting{Clock: faults.Clock{Drift: math.NaN()}, Since: 1}, "NaN"},
		{"strobe", Setting{Clock: faults.Clock{Strobe: maxStrobe + 1, Period: 1}, Since: 1}, "10 years"},
		{"strobe without period", Setting{Clock: faults.Clock{Strobe: 1}, Since: 1}, "want both"},
		{"period without strobe", Setting{Clock: faults.Clock{Period: 1}, Since: 1}, "want both"},
		{"period back", Setting{Clock: faults.Clock{Strobe: 1, Period: -1}, Since: 1}, "want both"},
		{"monotonic stands", Setting{Clock: faults.Clock{Monotonic: -1}}, "more than -1"},
		{"monotonic back", Setting{Clock: faults.Clock{Forward: -1}}, "never steps back"},
		{"drift since nothing", Setting{Clock: faults.Clock{Drift: 0.1}}, "since 0s"},
		{"strobe since nothing", Setting{Clock: faults.Clock{Strobe: 1, Period: 1}}, "since 0s"},
		{"since before the boot", Setting{Since: -1}, "since -1ns"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.s.Check()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestSettingAsJSON(t *testing.T) {
	for text, s := range map[string]Setting{`{}`: {}, `{"offset_ns":1,"drift":0.5,"strobe_ns":-2,"period_ns":3,"monotonic":-0.25,"forward_ns":4,"since_ns":5}`: {
		Clock: faults.Clock{Offset: 1, Drift: 0.5, Strobe: -2, Period: 3, Monotonic: -0.25, Forward: 4}, Since: 5}} {
		out, err := json.Marshal(s)
		require.NoError(t, err)
		require.JSONEq(t, text, string(out))
		var back Setting
		require.NoError(t, json.Unmarshal(out, &back))
		require.Equal(t, s, back)
	}
}
