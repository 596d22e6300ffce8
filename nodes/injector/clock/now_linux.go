package clock

import (
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// Now is the true CLOCK_MONOTONIC, which is a good Setting.Since. It is asked by a
// system call, so it is true in a process whose own clocks are wrong.
func Now() (time.Duration, error) {
	now, err := ask(unix.CLOCK_MONOTONIC)
	return time.Duration(now), err
}

// ask is what a true clock shows, in ns.
func ask(id int32) (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(id, &now); err != nil {
		return 0, fmt.Errorf("clock %d: %w", id, err)
	}
	return now.Nano(), nil
}

// ids are the clocks of a bank's rows.
var ids = [clocks]int32{unix.CLOCK_REALTIME, unix.CLOCK_TAI, unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_BOOTTIME}

// measurings is how often something is measured for its best result: a thread that is
// put off the processor between two readings is not put off every time.
const measurings = 10

// instantNow asks all clocks, repeatedly, and takes the time when wall and monotonic clocks were
// asked closest together: the anchors of the wall clocks are at most that far off.
func instantNow() (instant, error) {
	var best instant
	shortest := int64(math.MaxInt64)
	for range measurings {
		before, err := ask(unix.CLOCK_MONOTONIC)
		if err != nil {
			return best, err
		}
		var now instant
		for c, id := range ids {
			if now[c], err = ask(id); err != nil {
				return best, err
			}
		}
		if took := now[monotonic] - before; took < shortest {
			shortest, best = took, now
		}
	}
	return best, nil
}
