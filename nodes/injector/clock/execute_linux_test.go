//go:build amd64 || arm64

package clock

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// These tests execute the payload of this machine's architecture, in this process.

// skewed is a patched vDSO in executable memory: that of a recorded kernel, so of any machine.
func skewed(t testing.TB, b paramBank) (executable, patch) {
	for _, c := range recorded {
		if c.arch != runtime.GOARCH {
			continue
		}
		p, err := plan(recording(t, c.file, c.arch))
		require.NoError(t, err)
		e, err := newCopy(applied(p, b, uint64(rand.IntN(2))))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.free()) })
		return e, p
	}
	panic("no recording for " + runtime.GOARCH)
}

// rowOf is the row of each clock of linux/time.h that has one.
var rowOf = map[int32]int{
	unix.CLOCK_REALTIME: realtime, unix.CLOCK_REALTIME_COARSE: realtime, unix.CLOCK_REALTIME_ALARM: realtime,
	unix.CLOCK_TAI:       tai,
	unix.CLOCK_MONOTONIC: monotonic, unix.CLOCK_MONOTONIC_COARSE: monotonic,
	unix.CLOCK_MONOTONIC_RAW: raw,
	unix.CLOCK_BOOTTIME:      boottime, unix.CLOCK_BOOTTIME_ALARM: boottime,
}

// Every clock shows, whatever the parameters, what the formula of parambank.go makes of a true
// time between the true times before and after. No drawn bank has a clock run backwards.
func TestPayloadIsTheFormula(t *testing.T) {
	r := rand.New(rand.NewPCG(seed, 3))
	for range 200 {
		b := randomBank(r)
		for _, f := range []*family{&b.wall, &b.mono} {
			f.strobe, f.before, f.rate = f.strobe>>4, max(f.before, 0), f.rate>>r.IntN(40)
			f.rate = max(f.rate, -1<<fraction)
		}
		e, p := skewed(t, b)
		for id, row := range rowOf {
			before, err := ask(id)
			if err != nil {
				require.ErrorIs(t, err, unix.EINVAL) // no clock of alarms on this machine
				_, err = e.show(p.entries[clockGettime].at, id)
				require.ErrorIs(t, err, unix.EINVAL)
				continue
			}
			shown, err := e.show(p.entries[clockGettime].at, id)
			require.NoError(t, err)
			after, err := ask(id)
			require.NoError(t, err)
			require.True(t, shown.Nsec >= 0 && shown.Nsec < 1e9, "%+v", shown)
			low, high := before+b.ahead(row, before), after+b.ahead(row, after)
			if strobed(b, row, before) != strobed(b, row, after) {
				continue
			}
			require.True(t, shown.Nano() >= low && shown.Nano() <= high, "clock %d: %d is not within %d to %d, bank %+v", id, shown.Nano(), low, high, b)
		}
	}
}

// strobed tells which side of the strobe, and of the anchor, a time is on.
func strobed(b paramBank, clock int, now int64) int64 {
	f := b.wall
	if clock >= monotonic {
		f = b.mono
	}
	elapsed := now - b.rows[clock].anchor
	if elapsed < 0 {
		return -1
	}
	if f.period == 0 {
		return 0
	}
	return elapsed / f.period
}

// Both sides of every second, and of the epoch.
func TestSecondsAreNormal(t *testing.T) {
	now, err := ask(unix.CLOCK_REALTIME)
	require.NoError(t, err)
	for _, offset := range []int64{-1, 1, -999_999_999, 999_999_999, -1e9, 1e9, -now - 1, -now - 1e9, -now - 5_300_000_000, 3e18, -3e18} {
		var b paramBank
		b.rows[realtime].offset = offset
		e, p := skewed(t, b)
		for range 100 {
			before, err := ask(unix.CLOCK_REALTIME)
			require.NoError(t, err)
			shown, err := e.show(p.entries[clockGettime].at, unix.CLOCK_REALTIME)
			require.NoError(t, err)
			after, err := ask(unix.CLOCK_REALTIME)
			require.NoError(t, err)
			require.True(t, shown.Nsec >= 0 && shown.Nsec < 1e9, "%+v", shown)
			nano := shown.Sec*1e9 + shown.Nsec
			require.True(t, nano >= before+offset && nano <= after+offset, "offset %d: %+v", offset, shown)
		}
	}
}

// What the kernel refuses, and what it is not ours to change, is as the kernel has it.
func TestOtherClocksAreTheKernels(t *testing.T) {
	var b paramBank
	for i := range b.rows {
		b.rows[i].offset = int64(time.Hour)
	}
	e, p := skewed(t, b)
	at := p.entries[clockGettime].at
	for _, id := range []int32{-1, 10, 12, 16, 1 << 30, -1 << 31, unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_THREAD_CPUTIME_ID} {
		before, err := ask(id)
		if err != nil {
			_, shown := e.show(at, id)
			require.ErrorIs(t, err, unix.EINVAL)
			require.ErrorIs(t, shown, unix.EINVAL, "clock %d", id)
			continue
		}
		shown, err := e.show(at, id)
		require.NoError(t, err)
		after, err := ask(id)
		require.NoError(t, err)
		require.True(t, before <= shown.Nano() && shown.Nano() <= after, "clock %d", id)
	}
	require.EqualValues(t, -int32(unix.EFAULT), e.call(at, unix.CLOCK_REALTIME, nil))
	require.EqualValues(t, -int32(unix.EFAULT), e.call(at, unix.CLOCK_PROCESS_CPUTIME_ID, nil))
}

func TestGettimeofday(t *testing.T) {
	const offset = -3*int64(time.Hour) - 999_999_999
	var b paramBank
	b.rows[realtime].offset = offset
	e, p := skewed(t, b)
	at := p.entries[gettimeofday].at
	tv := (*unix.Timeval)(unsafe.Pointer(&e.result[0]))
	zone := (*[2]int32)(unsafe.Pointer(&e.result[64]))
	for _, zoned := range []bool{false, true} {
		second := (*byte)(nil)
		*zone = [2]int32{-1, -1}
		if zoned {
			second = &e.result[64]
		}
		for range 1000 {
			before, err := ask(unix.CLOCK_REALTIME)
			require.NoError(t, err)
			require.Zero(t, e.call(at, uintptr(unsafe.Pointer(tv)), second))
			after, err := ask(unix.CLOCK_REALTIME)
			require.NoError(t, err)
			micro := tv.Sec*1e6 + tv.Usec
			require.True(t, tv.Usec >= 0 && tv.Usec < 1e6, "%+v", tv)
			require.True(t, micro >= (before+offset)/1e3 && micro <= (after+offset)/1e3, "%+v", tv)
		}
		require.Equal(t, zoned, *zone != [2]int32{-1, -1}, "the time zone is written if it is asked for")
	}
	*tv = unix.Timeval{Sec: -7}
	require.Zero(t, e.call(at, 0, &e.result[64]), "only the time zone")
	require.Zero(t, e.call(at, 0, nil), "nothing at all")
	require.Equal(t, unix.Timeval{Sec: -7}, *tv)
}

func TestTime(t *testing.T) {
	var b paramBank
	b.rows[realtime].offset = int64(time.Hour)
	e, p := skewed(t, b)
	entry := p.entries[timeOfDay]
	if entry.size == 0 {
		return // this architecture has no such function
	}
	at := uintptr(unsafe.Pointer(&e.memory[entry.at]))
	stored := (*int64)(unsafe.Pointer(&e.result[0]))
	for _, result := range []uintptr{0, uintptr(unsafe.Pointer(stored))} {
		before, err := ask(unix.CLOCK_REALTIME_COARSE)
		require.NoError(t, err)
		shown := int64(call(at, result, 0))
		after, err := ask(unix.CLOCK_REALTIME_COARSE)
		require.NoError(t, err)
		require.True(t, shown >= before/1e9+3600 && shown <= after/1e9+3600)
		if result != 0 {
			require.Equal(t, shown, *stored)
		}
	}
}
