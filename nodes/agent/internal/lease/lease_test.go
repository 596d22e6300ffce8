package lease

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	second = time.Second
	fast   = 1 + DriftPercent/100.0 // the fastest that one clock may run by another
)

func TestGrant(t *testing.T) {
	require.Equal(t, 11*second, Grant(10*second, 0, 1100*time.Millisecond))
	require.Equal(t, 10*second, Grant(10*second, second, second), "a voter on the brink of its timeout is bound to nothing")
	require.Equal(t, 10*second, Grant(10*second, time.Hour, second))
	require.Equal(t, Grant(0, 0, second), Grant(0, -second, second), "a contact in the future binds no longer than one now")
}

func TestEnd(t *testing.T) {
	for name, c := range map[string]struct {
		grants []time.Duration
		voters int
		want   time.Duration
	}{
		"alone":                        {[]time.Duration{Forever}, 1, Forever},
		"two need both":                {[]time.Duration{Forever, 5}, 2, 5},
		"three stand on the better":    {[]time.Duration{5, Forever, 7}, 3, 7},
		"five stand on the second":     {[]time.Duration{1, 9, Forever, 7, 3}, 5, 7},
		"no majority answered":         {[]time.Duration{Forever, 7}, 5, 0},
		"no voters":                    {nil, 0, 0},
		"the leader itself cannot win": {[]time.Duration{Forever}, 3, 0},
	} {
		require.Equal(t, c.want, End(c.grants, c.voters), name)
	}
}

// While the lease lasts, the voters that are still bound are a majority, so those that
// are free to elect another leader are not: for any clocks that keep the bound.
func TestNoMajorityIsFreeWithinTheLease(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		voters := 1 + random.IntN(7)
		heartbeat := time.Duration(1 + random.Int64N(int64(5*second)))
		grants := []time.Duration{Forever}
		until := []float64{float64(Forever)} // when each voter is free, by the leader's clock
		for range voters - 1 {
			sent := time.Duration(random.Int64N(int64(second)))
			answered := sent + time.Duration(random.Int64N(int64(second)))
			age := time.Duration(random.Int64N(int64(2 * heartbeat)))
			rate := 1/fast + random.Float64()*(fast-1/fast) // the voter's clock by the leader's
			grants = append(grants, Grant(sent, age, heartbeat))
			bound := float64(answered) + float64(heartbeat-age)/rate
			until = append(until, max(bound, float64(sent))) // a lease that ends at sent is of no use later
		}
		end := End(grants, voters)
		free := 0
		for i := range until {
			if until[i] < float64(end)-1 && grants[i] >= end { // it counted on, though it is free
				free++
			}
		}
		require.Zero(t, free)
	}
}

func TestSilenceCoversEveryPromise(t *testing.T) {
	require.GreaterOrEqual(t, Silence(second), second)
	require.Equal(t, time.Duration(2), Silence(1))
}
