package oshost

import (
	"os"
	"runtime"
	"runtime/metrics"

	"faultline/nodes"
)

var _ nodes.UsageTeller = (*Host)(nil)

// liveHeap is the metric of package runtime/metrics: what the last collection found alive, which does not
// rise and fall with garbage.
const liveHeap = "/gc/heap/live:bytes"

// Usage is what this process uses. Descriptors are counted where /proc lists them.
func (h *Host) Usage() nodes.Usage {
	u := nodes.Usage{Goroutines: runtime.NumGoroutine()}
	sample := []metrics.Sample{{Name: liveHeap}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		u.Memory = sample[0].Value.Uint64()
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.Descriptors = len(open) - 1 // one is for this look
	}
	return u
}
