package model

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker/gossip"
)

func play(t testing.TB, c Config) Result {
	t.Helper()
	r, err := Run(c)
	require.NoError(t, err)
	return r
}

func crashesAndUpdates(t testing.TB, c Config, runs int) Sample {
	t.Helper()
	s, err := Samples(c, runs)
	require.NoError(t, err)
	return s
}

// The bounds err on the side of later, but not by much: what is measured lies between half of the formula's median and 1.1 times it, and no more
// than 3 % of a sample lies above its 99 %.
func TestBoundsHoldInTheModel(t *testing.T) {
	for _, c := range []struct {
		members int
		loss    float64
	}{{5, 0}, {10, .1}, {10, .3}, {50, .1}} {
		o := crashesAndUpdates(t, Config{Timing: gossip.LAN(), Members: c.members, Loss: c.loss}, 200)
		b := gossip.Pool{Timing: gossip.LAN(), Members: c.members, Loss: c.loss}.Bounds()
		for _, line := range []struct {
			what     string
			measured []time.Duration
			bound    gossip.Quantiles
		}{{"update", o.Updates, b.Dissemination.Quantiles}, {"dead", o.First, b.Dead}, {"dead everywhere", o.Dead, b.DeadEverywhere.Quantiles}} {
			median := gossip.Measured(line.measured).P50
			name := fmt.Sprintf("%s of %d at loss %v: %v, bound %v", line.what, c.members, c.loss, gossip.Measured(line.measured), line.bound)
			require.Less(t, median.Seconds(), 1.1*line.bound.P50.Seconds(), name)
			require.Greater(t, median.Seconds(), .45*line.bound.P50.Seconds(), name)
			above := 0
			for _, d := range line.measured {
				if d > line.bound.P99 {
					above++
				}
			}
			require.LessOrEqual(t, above, 6, name)
		}
	}
}

// The share of updates that leave somebody out is what the recursion says, also where the last tick sends fewer copies: three standard deviations.
func TestLeftOut(t *testing.T) {
	timing := gossip.LAN()
	timing.ProbeInterval, timing.ProbeTimeout = 100*time.Second, 50*time.Second // a probe's piggyback helps
	const runs = 1500
	for _, c := range []struct {
		members int
		loss    float64
	}{{5, .2}, {5, .5}, {10, .5}} {
		late := 0
		for seed := range uint64(runs) {
			r := play(t, Config{Timing: timing, Members: c.members, Loss: c.loss, Duration: 5 * time.Second, Seed: seed, Actions: []Action{{Kind: Update, Member: 0}}})
			if r.Outcomes[0].Everywhere > 3*time.Second {
				late++
			}
		}
		want := runs * gossip.Pool{Timing: timing, Members: c.members, Loss: c.loss}.Bounds().Dissemination.AnyLeft
		require.InDelta(t, want, late, 3*math.Sqrt(want)+.1*want, "%+v", c)
	}
}

func TestTheSameSeedPlaysTheSame(t *testing.T) {
	c := Config{Timing: gossip.LAN(), Members: 30, Joiners: 2, Loss: .2, Delay: 5 * time.Millisecond, Duration: 2 * time.Minute, Seed: 7,
		Actions: append(DutyCycle([]int{1, 2}, 8*time.Second, 4*time.Second, 0, time.Minute), Action{At: 5 * time.Second, Kind: Crash, Member: 3},
			Action{At: 6 * time.Second, Kind: Join, Member: 30}, Action{At: 20 * time.Second, Kind: Leave, Member: 4}, Action{At: 30 * time.Second, Kind: Impair, Member: 5, Out: .8})}
	first := play(t, c)
	require.Equal(t, first, play(t, c))
	c.Seed++
	require.NotEqual(t, first, play(t, c))
	for _, o := range first.Outcomes {
		require.Less(t, o.Everywhere, time.Minute, "%s of %d", o.Kind, o.Member)
	}
}

// Without reconnects two halves of memberlist never meet again after a split that outlasts its memory; with them, they do.
func TestSplitHalves(t *testing.T) {
	for _, every := range []time.Duration{0, 30 * time.Second} {
		timing := gossip.LAN()
		timing.ReconnectInterval = every
		r := play(t, Config{Timing: timing, Members: 10, Duration: 10 * time.Minute, Seed: 3,
			Actions: []Action{{Kind: Partition, Member: 5}, {At: 3 * time.Minute, Kind: Heal}, {At: 9 * time.Minute, Kind: Update, Member: 0}}})
		require.Equal(t, every > 0, r.Outcomes[0].Everywhere < 5*time.Second, "%v", every)
	}
}

// Lifeguard's experiment in small: members that stop again and again have others taken for dead, and less so with what Lifeguard adds.
func TestLifeguardMakesFewerMistakes(t *testing.T) {
	deaths := map[bool]int{}
	for _, swim := range []bool{false, true} {
		timing := gossip.LAN()
		if swim {
			timing = timing.SWIM()
		}
		r := play(t, Config{Timing: timing, Members: 64, Duration: 5 * time.Minute, Seed: 1, Delay: time.Millisecond,
			Actions: DutyCycle([]int{0, 1, 2, 3, 4, 5, 6, 7}, 10*time.Second, 1500*time.Microsecond, time.Second, 4*time.Minute)})
		deaths[swim] = r.FalseDeaths
		require.Less(t, r.Quality.Accuracy, 1.0)
	}
	require.Greater(t, deaths[true], 3*max(1, deaths[false]), "%v", deaths)
}

func TestWhatCannotBePlayed(t *testing.T) {
	good := Config{Timing: gossip.LAN(), Members: 10, Duration: time.Second}
	for _, bad := range []func(*Config){
		func(c *Config) { c.Members = 1 }, func(c *Config) { c.Loss = 1 }, func(c *Config) { c.Timing.GossipNodes = 0 }, func(c *Config) { c.Duration = 0 },
		func(c *Config) { c.Actions = []Action{{Kind: "melt"}} }, func(c *Config) { c.Actions = []Action{{Kind: Crash, Member: 10}} },
		func(c *Config) { c.Actions = []Action{{Kind: Join, Member: 9}} },
	} {
		c := good
		bad(&c)
		_, err := Run(c)
		require.Error(t, err)
	}
	big := Config{Timing: gossip.LAN(), Members: 2000, Duration: 2 * time.Minute, MemoryMB: 4, Actions: []Action{{Kind: Partition, Member: 1000}}}
	_, err := Run(big)
	require.ErrorContains(t, err, "more than 4 MB")
}

func BenchmarkHundredThousand(b *testing.B) {
	for b.Loop() {
		c := Config{Timing: gossip.LAN(), Members: 100_000, Delay: time.Millisecond, Loss: .01, Duration: 10 * time.Minute, Seed: 1}
		for i := range 10 {
			c.Actions = append(c.Actions, Action{At: time.Duration(i) * 20 * time.Second, Kind: Crash, Member: i}, Action{At: time.Duration(i) * 20 * time.Second, Kind: Update, Member: 100 + i})
		}
		r, err := Run(c)
		require.NoError(b, err)
		b.ReportMetric(r.Packets, "packets/member/s")
		b.Log(r.Outcomes[0].First, r.Outcomes[0].Everywhere, r.Outcomes[1].Everywhere, r.FalseSuspicions, r.FalseDeaths)
	}
}
