package checker

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// seedsOf is how many histories of each family to draw: FAULTLINE_SEEDS, or else few.
func seedsOf(t testing.TB, few int) uint64 {
	text := os.Getenv("FAULTLINE_SEEDS")
	if text == "" {
		return uint64(few)
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return uint64(n)
}

// eachHistory judges random histories of all families, several at a time, until one of each
// family has an objection.
func eachHistory(t *testing.T, seeds uint64, judge func(seed uint64, f family, ops []history.Operation, constraints []constraint) (good bool, objection string), draw func(f family, seed uint64) []history.Operation) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			var next, good atomic.Uint64
			var objection atomic.Pointer[string]
			var all sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				all.Go(func() {
					for seed := next.Add(1); seed <= seeds && objection.Load() == nil; seed = next.Add(1) {
						ops := draw(f, seed)
						is, why := judge(seed, f, ops, constraintsOf(t, ops))
						if why != "" {
							why = fmt.Sprintf("seed %d: %s: %s", seed, why, encode(ops))
							objection.Store(&why)
						}
						if is {
							good.Add(1)
						}
					}
				})
			}
			all.Wait()
			if why := objection.Load(); why != nil {
				t.Fatal(*why)
			}
			t.Logf("%d of %d linearizable", good.Load(), seeds)
			require.Greater(t, good.Load(), seeds/8)
			require.Greater(t, seeds-good.Load(), seeds/16)
		})
	}
}

func TestEveryTierAgreesWithBruteForce(t *testing.T) {
	ctx := context.Background()
	eachHistory(t, seedsOf(t, 100_000), func(seed uint64, _ family, ops []history.Operation, constraints []constraint) (bool, string) {
		good := brute(ops, false)
		want := illegal
		if good {
			want = legal
		}
		if got, why := linearize(ctx, constraints, nil, widest); got != want {
			return good, fmt.Sprintf("just in time: %v, not %v %s", got, want, why)
		}
		if got, why := decide(ctx, constraints, nil); got != want {
			return good, fmt.Sprintf("altogether: %v, not %v %s", got, want, why)
		}
		return good, ""
	}, func(f family, seed uint64) []history.Operation { return f.history(seed, 3+int(seed%6)) })
}
