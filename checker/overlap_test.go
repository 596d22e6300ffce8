package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// span is a stay of given times.
type span struct{ first, last int64 }

func (s span) answered() int64 { return s.first }
func (s span) asked() int64    { return s.last }

// The sweep finds the same pairs as looking at all of them.
func TestOverlapsAreThoseOfAllPairs(t *testing.T) {
	found := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 3))
		var all []span
		for range r.IntN(8) {
			all = append(all, span{r.Int64N(20), r.Int64N(20)})
		}
		name := func(a, b span) string {
			names := []string{fmt.Sprint(a), fmt.Sprint(b)}
			slices.Sort(names)
			return fmt.Sprint(names)
		}
		var want, got []string
		for i, a := range all {
			for _, b := range all[:i] {
				if a.last > b.first && b.last > a.first {
					want = append(want, name(a, b))
				}
			}
		}
		eachOverlap(context.Background(), all, func(a, b span) bool {
			got = append(got, name(a, b))
			return true
		})
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, "%v", all)
		found += len(got)
		if len(got) > 0 {
			calls := 0
			eachOverlap(context.Background(), all, func(a, b span) bool { calls++; return false })
			require.Equal(t, 1, calls, "it ends when it is told to")
		}
	}
	require.Greater(t, found, 1000)
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		of   []Verdict
		want Verdict
	}{
		{nil, Unknown},
		{[]Verdict{NotApplicable}, Unknown},
		{[]Verdict{NotApplicable, Valid}, Valid},
		{[]Verdict{Valid, Unknown, NotApplicable}, Unknown},
		{[]Verdict{Unknown, Invalid, Valid}, Invalid},
		{[]Verdict{Valid, "of no version"}, Unknown},
		{[]Verdict{"of no version"}, Unknown},
	} {
		require.Equal(t, c.want, Worst(c.of...), "%v", c.of)
	}
}
