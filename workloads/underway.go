package workloads

import (
	"slices"
	"sync"
	"time"
)

// rememberedFor is how long operations are remembered that are over.
const rememberedFor = 10 * time.Second

// underWay knows which operations are under way, and which of those that crossed datacenters were a moment ago.
// Its zero value is ready.
type underWay struct {
	mu   sync.Mutex
	next uint64
	open map[uint64]passage
	over []passage // that crossed datacenters, by their ends
}

// passage is an operation, from its start to its end.
type passage struct {
	asked, meant string // datacenters
	from, to     time.Time
}

// begin notes an operation that is asked of a datacenter, for the data of one; end notes its end.
func (u *underWay) begin(asked, meant string) (end func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == nil {
		u.open = map[uint64]passage{}
	}
	u.next++
	id := u.next
	u.open[id] = passage{asked: asked, meant: meant, from: time.Now()}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		p := u.open[id]
		delete(u.open, id)
		if p.asked == p.meant {
			return
		}
		p.to = time.Now()
		old := 0
		for old < len(u.over) && p.to.Sub(u.over[old].to) > rememberedFor {
			old++
		}
		u.over = append(slices.Delete(u.over, 0, old), p)
	}
}

// count counts those that mean a datacenter's data; of none, all of them.
func (u *underWay) count(dc string) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.open {
		if dc == "" || p.meant == dc {
			n++
		}
	}
	return n
}

// across counts those that mean a datacenter's data and were asked of another, and were under way all the time between
// two moments.
func (u *underWay) across(dc string, from, to time.Time) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fits := func(p passage) bool { return p.meant == dc && p.asked != dc && !p.from.After(from) }
	for _, p := range u.open {
		if fits(p) {
			n++
		}
	}
	for _, p := range u.over {
		if fits(p) && !p.to.Before(to) {
			n++
		}
	}
	return n
}

// Open is how many operations are under way that mean the data of a datacenter; of none, all of them.
func (r *Runner) Open(dc string) int { return r.underWay.count(dc) }

// Forwarded is how many operations were under way, all the time between two moments of the last 10 s, that mean the
// data of a datacenter and were asked of nodes of others.
func (r *Runner) Forwarded(dc string, from, to time.Time) int { return r.underWay.across(dc, from, to) }
