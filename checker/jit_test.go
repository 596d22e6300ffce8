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
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// seedsOf is how many histories to draw, of each family where there are some: FAULTLINE_SEEDS, or else so many, and few
// under the race detector, where each costs ten times as much and shows no more. So `make test` has few, and `make self` many.
func seedsOf(t testing.TB, many, few uint64) uint64 {
	t.Helper()
	text := os.Getenv("FAULTLINE_SEEDS")
	switch {
	case text == "" && underRace:
		return few
	case text == "":
		return many
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err)
	return n
}

// eachHistory judges random histories of every family, several at a time, until there is an objection.
func eachHistory(t *testing.T, seeds uint64, draw func(f family, seed uint64) []history.Operation,
	judge func(ops []history.Operation, constraints []constraint) (good bool, objection string)) {
	t.Helper()
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			var next, good atomic.Uint64
			var objection atomic.Pointer[string]
			var all sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				all.Go(func() {
					for seed := next.Add(1); seed <= seeds && objection.Load() == nil; seed = next.Add(1) {
						ops := draw(f, seed)
						is, why := judge(ops, constraintsOf(t, ops))
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
	tiny := func(f family, seed uint64) []history.Operation { return f.history(seed, 3+int(seed%6)) }
	eachHistory(t, seedsOf(t, 100_000, 3000), tiny, func(ops []history.Operation, constraints []constraint) (bool, string) {
		good := brute(ops)
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
	})
}

func TestEveryTierAgreesWithPorcupine(t *testing.T) {
	ctx := context.Background()
	medium := func(f family, seed uint64) []history.Operation { return f.history(seed, 10+int(seed%30)) }
	eachHistory(t, min(seedsOf(t, 3000, 200), 30_000), medium, func(_ []history.Operation, constraints []constraint) (bool, string) {
		limit, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		want, _ := search(limit, constraints, nil)
		if want == undecided {
			return true, ""
		}
		if got, why := linearize(ctx, constraints, nil, widest); got != want {
			return false, fmt.Sprintf("just in time: %v, not %v %s", got, want, why)
		}
		if got, why := decide(ctx, constraints, nil); got != want {
			return false, fmt.Sprintf("altogether: %v, not %v %s", got, want, why)
		}
		return want == legal, ""
	})
}

// What the tier is for: every load is decided, and stays decided.
func TestLoadsOfEveryKindAreDecided(t *testing.T) {
	for name, l := range map[string]load{
		"opaque":             {keys: 1, perKey: 2000, clients: 50, lost: 10, opaque: true},
		"opaque and deletes": {keys: 1, perKey: 2000, clients: 20, lost: 3, opaque: true, deletes: 20},
		"deletes":            {keys: 1, perKey: 2000, clients: 20, lost: 3, deletes: 20},
		"repeated":           {keys: 1, perKey: 2000, clients: 10, lost: 3, values: 5},
		"open":               {keys: 1, perKey: 2000, clients: 20, lost: 60},
	} {
		t.Run(name, func(t *testing.T) {
			constraints := constraintsOf(t, l.history())
			a, why := decide(context.Background(), constraints, nil)
			require.Equal(t, legal, a, why)
		})
	}
}
