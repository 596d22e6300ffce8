package checker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 0, 0, 1}, {0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {8, 10, 0.4902, 0.9433}, {50, 100, 0.4038, 0.5962}} { // as tables of the interval have it
		low, high := Wilson(c.k, c.n)
		require.InDelta(t, c.low, low, 0.0005)
		require.InDelta(t, c.high, high, 0.0005)
	}
}

// The chance of k hits or fewer, counted out.
func TestBinomial(t *testing.T) {
	for n := range 12 {
		for _, p := range []float64{0, 0.01, 0.3, 0.5, 0.99, 1} {
			counted := make([]float64, n+1) // by number of hits
			for outcome := range 1 << n {
				chance, hits := 1.0, 0
				for trial := range n {
					if outcome>>trial&1 == 1 {
						chance, hits = chance*p, hits+1
					} else {
						chance *= 1 - p
					}
				}
				counted[hits] += chance
			}
			sum := 0.0
			for k := range n + 1 {
				sum += counted[k]
				require.InDelta(t, sum, atMost(k, n, p), 1e-9, "%d of %d by %v", k, n, p)
			}
		}
	}
	require.Zero(t, atMost(-1, 5, 0.5))
	require.InDelta(t, 0.5, atMost(5000, 10000, 0.5), 0.01)
}
