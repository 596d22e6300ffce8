package injector

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func (l *lifeline) isSnapped() bool {
	select {
	case <-l.snapped:
		return true
	default:
		return false
	}
}

// sleep lets time pass, in which what is due is done.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestALifelineWaitsForTheFirstStreamAndThenForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLifeline(120*time.Second, 10*time.Second)
		sleep(119 * time.Second)
		require.False(t, l.isSnapped())
		l.hold()
		sleep(time.Hour)
		require.False(t, l.isSnapped(), "a stream stands")
		for range 3 {
			l.letGo()
			sleep(9 * time.Second)
			require.False(t, l.isSnapped(), "the next is in time")
			l.hold()
			l.hold()
			l.letGo()
			sleep(time.Minute)
			require.False(t, l.isSnapped(), "one of two stands")
		}
		l.letGo()
		sleep(9 * time.Second)
		require.False(t, l.isSnapped())
		sleep(2 * time.Second)
		require.True(t, l.isSnapped())
		l.hold() // too late, and no harm
		l.letGo()
	})
}

func TestALifelineSnapsWithoutAFirstStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLifeline(120*time.Second, 10*time.Second)
		sleep(121 * time.Second)
		require.True(t, l.isSnapped())
	})
}
