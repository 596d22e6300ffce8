package checker

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Budget is what the search of linearizable was given, and what it used.
//
// Valid and Invalid never depend on it: each rests on a search that ended, on a linearization
// that was replayed or on a contradiction, so two machines or two budgets never contradict each
// other. Unknown does depend on it: a larger budget, or a faster machine, may decide what a
// smaller one left open. The size of a counterexample depends on it as well.
type Budget struct {
	WallSeconds     float64 `json:"wall_seconds"`             // given, in s; 0 is no limit
	MemoryMB        int     `json:"memory_mb"`                // given, in MiB, for all searches together
	Cores           int     `json:"cores"`                    // GOMAXPROCS: keys that were judged at a time, at most
	UsedWallSeconds float64 `json:"used_wall_seconds"`        // in s; searches, explanations and pictures together
	PeakMemoryMB    float64 `json:"peak_memory_mb,omitempty"` // in MiB, heap above that of the beginning; 0 is unknown: no garbage collection ran during a search
	Exhausted       bool    `json:"exhausted"`                // a key is undecided because time or memory ran out
}

// meter measures what of a budget is used.
type meter struct {
	Budget
	began time.Time
}

// newMeter begins to measure against the time until ctx ends, and so many MiB.
func newMeter(ctx context.Context, memoryMB int) *meter {
	m := &meter{Budget{MemoryMB: memoryMB, Cores: runtime.GOMAXPROCS(0)}, time.Now()}
	if memoryMB <= 0 {
		m.MemoryMB = defaultMemoryMB
	}
	if deadline, timed := ctx.Deadline(); timed {
		m.WallSeconds = math.Ceil(max(deadline.Sub(m.began).Seconds(), 0.001)*1000) / 1000
	}
	return m
}

// read is the budget with what was used so far.
func (m *meter) read(memory *memory) *Budget {
	b := m.Budget
	b.UsedWallSeconds = time.Since(m.began).Seconds()
	b.PeakMemoryMB = float64(memory.peak.Load()) / (1 << 20)
	return &b
}

const defaultMemoryMB = 1024

// memory is the part of the budget that the searches of one checker share. nil is no limit.
type memory struct {
	bytes    int64
	baseline int64 // live before the first search
	workers  int64
	peak     atomic.Int64 // live above baseline, 0 before the first collection
}

func newMemory(megabytes, workers int) *memory {
	runtime.GC() // the live heap is known only after a collection
	return &memory{bytes: int64(megabytes) << 20, baseline: liveHeap(), workers: int64(workers)}
}

// share is what one search may use without asking.
func (m *memory) share() int64 {
	if m == nil {
		return 1 << 62
	}
	return m.bytes / m.workers
}

// exhausted reports whether the searches really hold what they may. It is asked only by
// a search whose own estimate, which counts states that were met twice, is above its
// share. Half of the budget is for garbage that is not collected yet.
func (m *memory) exhausted() bool {
	return m != nil && liveHeap()-m.baseline > m.bytes/2
}

// sample keeps the peak.
func (m *memory) sample() {
	if m == nil {
		return
	}
	now := liveHeap() - m.baseline
	for {
		peak := m.peak.Load()
		if now <= peak || m.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// liveHeap is what the last garbage collection found alive, in bytes, in the whole process.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
