package workloads

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOperationsUnderWayAreCountedByDatacenter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u underWay
		start := time.Now()
		after := func(d time.Duration) time.Time { return start.Add(d) }
		local := u.begin("dc2", "dc2")
		remote := u.begin("dc1", "dc2")
		other := u.begin("dc2", "dc1")
		require.Equal(t, []int{3, 1, 2, 0}, []int{u.count(""), u.count("dc1"), u.count("dc2"), u.count("dc3")})
		time.Sleep(time.Second)
		require.Equal(t, 1, u.across("dc2", start, time.Now()))
		local()
		remote()
		other()
		require.Equal(t, 0, u.count(""))
		require.Equal(t, 1, u.across("dc2", start, after(time.Second)))
		require.Equal(t, 1, u.across("dc2", after(500*time.Millisecond), after(600*time.Millisecond)))
		require.Equal(t, 0, u.across("dc2", start, after(time.Second+1)), "it was over")
		require.Equal(t, 0, u.across("dc2", start.Add(-1), after(time.Second)), "it had not begun")
		require.Equal(t, 1, u.across("dc1", start, after(time.Second)))
		time.Sleep(2 * rememberedFor)
		u.begin("dc1", "dc2")()
		require.Equal(t, 0, u.across("dc2", start, after(time.Second)), "it is forgotten")
		require.Len(t, u.over, 1)
	})
}
