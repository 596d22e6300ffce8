package clock

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read tells what the process's clocks show now. It does not trust what was written: it copies
// the process's vDSO as it stands, entries, payload, parameters, and calls the entry of
// the copy, as the process would. Before it executes anything it compares all of it with
// what this package writes. It does not disturb the process.
func (p *Process) Read() (Reading, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, patched, err := p.copied()
	if err != nil {
		return Reading{}, err
	}
	if !patched {
		now, err := Now()
		return Reading{At: now}, err
	}
	r, err := c.reading(p.patch.entries[clockGettime].at)
	return r, errors.Join(err, c.free())
}

// Watch looks at the process's wall clock so many times, spread evenly over a span, as Read does but at one copy: with
// the parameters that hold when it begins. It sees nothing of a process that is not patched. Set waits for it.
func (p *Process) Watch(span time.Duration, count int) ([]Look, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, patched, err := p.copied()
	if err != nil || !patched {
		return nil, err
	}
	looks, err := c.watch(p.patch.entries[clockGettime].at, span, count)
	return looks, errors.Join(err, c.free())
}

// copied is the process's vDSO, which must be freed, if it is patched. p.mu is held.
func (p *Process) copied() (c executable, patched bool, err error) {
	memory, err := p.read()
	if err != nil {
		return c, false, err
	}
	is, err := p.patch.find(memory)
	if err != nil {
		return c, false, fmt.Errorf("process %d: %w", p.pid, err)
	}
	if is.jumps == 0 {
		return c, false, nil
	}
	if !p.patch.patched(is) {
		return c, false, fmt.Errorf("process %d is patched in part: set its clocks again", p.pid)
	}
	c, err = newCopy(memory)
	return c, err == nil, err
}

// executable is a vDSO in executable memory, and a page for results behind it.
type executable struct{ memory, result []byte }

func newCopy(vdso []byte) (executable, error) {
	memory, err := unix.Mmap(-1, 0, len(vdso)+unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return executable{}, fmt.Errorf("memory for a vDSO: %w", err)
	}
	copy(memory, vdso)
	c := executable{memory, memory[len(vdso):]}
	if err := unix.Mprotect(memory[:len(vdso)], unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return c, errors.Join(fmt.Errorf("making memory executable: %w", err), c.free())
	}
	return c, nil
}

func (c executable) free() error { return unix.Munmap(c.memory) }

// call calls the function at an offset with a number and the address of the results, two
// words of 64 bits. Both may be anything: nil stands for the null pointer.
func (c executable) call(at uint64, first uintptr, result *byte) int32 {
	return int32(call(uintptr(unsafe.Pointer(&c.memory[at])), first, uintptr(unsafe.Pointer(result))))
}

// show is what a clock of the vDSO shows, by the function at an offset.
func (c executable) show(at uint64, id int32) (unix.Timespec, error) {
	if code := c.call(at, uintptr(id), &c.result[0]); code != 0 {
		return unix.Timespec{}, fmt.Errorf("clock %d of the process: %w", id, unix.Errno(-code))
	}
	return *(*unix.Timespec)(unsafe.Pointer(&c.result[0])), nil
}

// reading compares the clocks of the vDSO with the truth.
func (c executable) reading(at uint64) (Reading, error) {
	r := Reading{Patched: true}
	wall, err := c.ahead(at, unix.CLOCK_REALTIME)
	if err != nil {
		return r, err
	}
	mono, err := c.ahead(at, unix.CLOCK_MONOTONIC)
	if err != nil {
		return r, err
	}
	r.Wall, r.WallAt, r.Monotonic, r.At, r.Within = wall.ahead, wall.at, mono.ahead, mono.at, max(wall.within, mono.within)
	return r, nil
}

// watch looks at the wall clock. The moments of its looks are those of the wall clock, on which a strobe is counted, moved
// to CLOCK_MONOTONIC by one comparison of the two.
func (c executable) watch(at uint64, span time.Duration, count int) ([]Look, error) {
	now, err := instantNow()
	if err != nil {
		return nil, err
	}
	apart := time.Duration(now[realtime] - now[monotonic])
	var looks []Look
	for range count {
		wall, err := c.ahead(at, unix.CLOCK_REALTIME)
		if err != nil {
			return nil, err
		}
		looks = append(looks, Look{At: wall.at - apart, Wall: wall.ahead, Within: wall.within})
		pause(span / time.Duration(count))
	}
	return looks, nil
}

// comparison is how far a clock is ahead of the truth, when that truly showed at.
type comparison struct{ at, ahead, within time.Duration }

// ahead compares a clock with the truth, and gives the closest of a few measurings.
func (c executable) ahead(at uint64, id int32) (closest comparison, err error) {
	closest.within = time.Duration(1<<63 - 1)
	for range measurings {
		before, err := ask(id)
		if err != nil {
			return closest, err
		}
		shown, err := c.show(at, id)
		if err != nil {
			return closest, err
		}
		after, err := ask(id)
		if err != nil {
			return closest, err
		}
		if half := (after - before) / 2; time.Duration(half)+1 < closest.within {
			middle := before + half
			closest = comparison{time.Duration(middle), time.Duration(shown.Nano() - middle), time.Duration(half) + 1}
		}
	}
	return closest, nil
}
