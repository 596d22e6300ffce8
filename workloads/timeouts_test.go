package workloads

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestTimeoutsAreLogUniformAndRepeat(t *testing.T) {
	const least, most = 50 * time.Millisecond, 8 * time.Second
	draw := func(seed uint64) (all []time.Duration) {
		from := newTimeouts(Config{LeastTimeout: least, Timeout: most, Seed: seed})
		for range 10000 {
			all = append(all, from.next())
		}
		return all
	}
	all := draw(1)
	require.Equal(t, all, draw(1))
	require.NotEqual(t, all, draw(2))
	var short, middle, long int
	for _, d := range all { // three parts of the same factor, 5.43
		require.True(t, least <= d && d <= most, "%v", d)
		switch {
		case d < 271*time.Millisecond:
			short++
		case d < 1474*time.Millisecond:
			middle++
		default:
			long++
		}
	}
	for _, n := range []int{short, middle, long} {
		require.InDelta(t, 3333, n, 200)
	}
}

func TestWithoutALeastTimeoutAllAreTheSame(t *testing.T) {
	from := newTimeouts(Config{Timeout: time.Second})
	for range 100 {
		require.Equal(t, time.Second, from.next())
	}
}

// A client that gives up does not know what came of a change, and its process never acts again. It does
// know of a read.
func TestWhatIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.LeastTimeout, c.Timeout = 50*time.Millisecond, 8*time.Second })
		b.troubles(map[trouble]float64{hang: 1})
		b.run(2 * time.Minute)
		events, ops := b.finish()
		short, given, ended := 0, map[history.Process]int64{}, map[history.Process]bool{}
		for _, e := range events {
			require.False(t, ended[e.Process], "process %d acts again", e.Process)
			if e.Type == history.Invoke {
				given[e.Process] = e.Time
				continue
			}
			took := time.Duration(e.Time - given[e.Process])
			require.True(t, 50*time.Millisecond <= took && took <= 9*time.Second, "%v", took)
			if took < time.Second {
				short++
			}
			want := history.Info
			if e.F == history.OpRead {
				want = history.Fail
			}
			require.Equal(t, want, e.Type)
			require.Equal(t, history.Timeout, e.Error)
			ended[e.Process] = e.Type == history.Info
		}
		require.Greater(t, short, len(ops)/3)
		requireLinearizable(t, ops)
	})
}
