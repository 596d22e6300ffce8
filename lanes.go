package faultline

import (
	"context"
	"errors"
	"sync"
)

// inLanes calls do with 0 to n-1, in this order, so many at a time as there are lanes. Once one
// has failed, or ctx has ended, no more are begun; those that have are waited for.
func inLanes(ctx context.Context, lanes, n int, do func(i int) error) error {
	var (
		mu   sync.Mutex
		next int
		errs []error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == n || len(errs) > 0 || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var work sync.WaitGroup
	for range max(1, lanes) {
		work.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := do(i); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// inLane is the options for one of several scenarios: where they run side by side, what is said
// of each names it.
func (o Options) inLane(s Scenario) Options {
	if o.Jobs > 1 && o.Progress != nil {
		o.Progress = named{o.Progress, s.Name}
	}
	return o
}

type named struct {
	Progress
	name string
}

func (n named) Say(text string) { n.Progress.Say(n.name + ": " + text) }
