package report

import (
	"slices"
	"time"

	"faultline/workloads/history"
)

// maxBuckets bounds how finely a run is cut for its charts.
const maxBuckets = 240

// bucketWidths are the widths that a reader can reckon with.
var bucketWidths = []time.Duration{
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour,
}

func bucketWidth(end int64) time.Duration {
	for _, w := range bucketWidths {
		if end/int64(w) < maxBuckets {
			return w
		}
	}
	return time.Duration(end/maxBuckets + 1)
}

// bucket is a short time of the run: the operations that were sent in it. It differs from
// checker.Bucket on purpose. The lanes above the charts show an operation where it was
// sent and as its type, so the charts must too, and they part latency by f.
type bucket struct {
	tally
	Latency map[string]quantiles // of the ok ones, by f
}

// quantiles are of durations in nanoseconds; N is of how many.
type quantiles struct {
	N             int
	P50, P99, Max int64
}

func quantilesOf(durations []int64) quantiles {
	if len(durations) == 0 {
		return quantiles{}
	}
	slices.Sort(durations)
	return quantiles{len(durations), quantile(durations, 0.50), quantile(durations, 0.99), durations[len(durations)-1]}
}

// bucketsOf cuts the run into buckets of one width from time 0 to end.
func bucketsOf(ops []history.Operation, end int64, width time.Duration) []bucket {
	all := make([]bucket, end/int64(width)+1)
	durations := make([]map[history.Op][]int64, len(all))
	for _, op := range ops {
		at := min(max(op.Invoke, 0)/int64(width), int64(len(all)-1))
		all[at].add(op.Type)
		if op.Type != history.OK {
			continue
		}
		if durations[at] == nil {
			durations[at] = map[history.Op][]int64{}
		}
		durations[at][op.F] = append(durations[at][op.F], op.Return-op.Invoke)
	}
	for i, byF := range durations {
		all[i].Latency = make(map[string]quantiles, len(byF))
		for f, ds := range byF {
			all[i].Latency[string(f)] = quantilesOf(ds)
		}
	}
	return all
}
