package workloads

import (
	"sync"
	"time"
)

// inflight counts goroutines. It is a sync.WaitGroup that can be waited for with a limit,
// and to which goroutines may be added while others wait.
type inflight struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0
}

// Go runs f.
func (i *inflight) Go(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.n == 0 {
		i.idle = make(chan struct{})
	}
	i.n++
	go func() {
		defer i.done()
		f()
	}()
}

func (i *inflight) done() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n--
	if i.n == 0 {
		close(i.idle)
	}
}

// wait returns when none runs, or after limit; it tells how many still do.
func (i *inflight) wait(limit time.Duration) (running int) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		n, idle := i.now()
		if n == 0 {
			return 0
		}
		select {
		case <-idle:
		case <-timer.C:
			n, _ := i.now()
			return n
		}
	}
}

func (i *inflight) now() (n int, idle <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.n, i.idle
}
