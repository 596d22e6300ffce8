package nemesis

import (
	"context"
	"errors"
	"fmt"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// work is what goes on beside the schedule for one step: its Work, or its Rejoined.
type work struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
}

var errStepOver = errors.New("the step is over")

// close marks a part with all of its evidence.
func (p *player) close(part *part) {
	part.mark.Done, part.mark.Evidence = true, &part.evidence
	p.mark(history.Op(part.step.Name()), part.mark)
}

// goOn marks a part that is concluded, at once, or when its work is done.
func (p *player) goOn(ctx context.Context, part *part) {
	action := part.acts.Work
	if part.stage == history.FaultHeal {
		action = part.acts.Rejoined
	}
	if action == nil || len(part.evidence.Gaps()) > 0 {
		p.close(part)
		return
	}
	through, carried := p.carriedThrough(ctx)
	ctx, cut := context.WithTimeout(through, max(workWithin, part.step.lasts()+workWithin))
	ctx, cancel := context.WithCancelCause(ctx)
	w := &work{cancel: cancel, done: make(chan struct{})}
	p.works[part.number] = w
	world := p.worldOf(part.step)
	world.addConditions = p.adder(part.number)
	go func() {
		defer close(w.done)
		defer carried()
		defer cut()
		defer cancel(nil)
		part.saw(action(ctx, world, part.step, part.targets))
		p.close(part)
	}()
}

// adder is World.addConditions for one step.
func (p *player) adder(number int) func(context.Context, func(*faults.Conditions)) error {
	return func(ctx context.Context, add func(*faults.Conditions)) error {
		select {
		case p.turn <- struct{}{}:
			defer func() { <-p.turn }()
		case <-ctx.Done():
			return fmt.Errorf("waiting for another change: %w", context.Cause(ctx))
		}
		if add == nil {
			delete(p.added, number)
		} else {
			p.added[number] = add
		}
		return p.reconcile(ctx, p.conditions()).err()
	}
}

// endWorks ends what goes on for these steps, and waits for its mark.
func (p *player) endWorks(steps []int) {
	for _, i := range steps {
		if w := p.works[i]; w != nil {
			w.cancel(errStepOver)
			<-w.done
		}
	}
}

// awaitWorks waits for what still goes on after the last heal.
func (p *player) awaitWorks() {
	for _, w := range p.works {
		<-w.done
	}
}
