package nemesis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// work is what goes on beside the schedule for one step: its Work, or its Rejoined.
type work struct {
	cancel context.CancelCauseFunc
	done   chan struct{}
}

var errStepOver = errors.New("the step is over")

// goOn marks a part that is concluded, at once, or when its work is done.
func (p *player) goOn(ctx context.Context, part *part) {
	action := part.fault.Work
	if part.stage == history.FaultHeal {
		action = part.fault.Rejoined
	}
	if action == nil || part.mark.Error != "" {
		p.mark(part.step.Fault, part.mark)
		return
	}
	ctx, cut := context.WithTimeout(context.WithoutCancel(ctx), max(workWithin, part.step.lasts()+workWithin))
	ctx, cancel := context.WithCancelCause(ctx)
	w := &work{cancel: cancel, done: make(chan struct{})}
	p.works[part.number] = w
	world := p.World
	world.impose = p.imposer(part.number)
	go func() {
		defer close(w.done)
		defer cut()
		defer cancel(nil)
		seen, err := action(ctx, world, part.step, part.hit)
		words := []string{part.mark.Measured, seen}
		if part.mark.Measured == "" || seen == "" {
			words = []string{part.mark.Measured + seen}
		}
		part.mark.Measured = strings.Join(words, "; ")
		if err != nil {
			part.mark.Proved, part.mark.Error = false, err.Error()
		}
		p.mark(part.step.Fault, part.mark)
	}()
}

// imposer is World.impose for one step.
func (p *player) imposer(number int) func(context.Context, func(*faults.Conditions)) error {
	return func(ctx context.Context, add func(*faults.Conditions)) error {
		select {
		case p.turn <- struct{}{}:
			defer func() { <-p.turn }()
		case <-ctx.Done():
			return fmt.Errorf("waiting for another change: %w", context.Cause(ctx))
		}
		if add == nil {
			delete(p.imposed, number)
		} else {
			p.imposed[number] = add
		}
		_, err := p.bring(ctx, p.conditions())
		return err
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
