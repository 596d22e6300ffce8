package suite

import (
	"context"
	"errors"
	"sync"

	"faultline"
)

// forEach calls do with 0 to n-1, in this order, as many at a time as there are workers. Once
// one has failed, or ctx has ended, no more are begun; those that have are waited for.
func forEach(ctx context.Context, workers, n int, do func(i int) error) error {
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
	for range max(1, workers) {
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

// of is the options for one of several scenarios: where they run side by side, what is said
// of each names it.
func (o Options) of(s faultline.Scenario) faultline.Options {
	run := o.Run
	if o.Jobs > 1 && run.Progress != nil {
		run.Progress = named{run.Progress, s.Name}
	}
	return run
}

type named struct {
	faultline.Progress
	name string
}

func (n named) Say(text string) { n.Progress.Say(n.name + ": " + text) }
