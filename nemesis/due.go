package nemesis

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// progress is how far a step has come.
type progress struct {
	came   bool          // its At was reached
	over   bool          // so was its end, or it is not going to begin
	count  int           // of its trigger, when it came
	healAt time.Duration // for steps that say when they end only once they have begun; 0 for others
}

// next is the earliest change that was not reached yet. A step that waits ends when it may wait no longer; one that has
// begun, as long after that as it lasts.
func (p *player) next() (c change, ok bool) {
	c.at = math.MaxInt64
	for i, step := range p.schedule.Steps {
		state := p.progress[i]
		at, heals := step.At, state.came
		switch _, begun := p.lasting[i]; {
		case state.over:
			continue
		case heals && !begun && step.waits() && p.isHeld(i):
			at += step.patience()
		case heals && state.healAt > 0:
			at = state.healAt
		case heals:
			if at += step.lasts(); step.lasts() == 0 {
				continue
			}
		}
		if at < c.at {
			c = change{at: at}
		}
		switch {
		case at > c.at:
		case heals:
			c.heals = append(c.heals, i)
		default:
			c.starts = append(c.starts, i)
		}
	}
	return c, len(c.heals)+len(c.starts) > 0
}

// reach notes that a change was reached, and leaves out what is not to be played.
func (p *player) reach(c change) change {
	for _, i := range c.heals {
		p.progress[i].over = true
	}
	c.starts = slices.DeleteFunc(c.starts, func(i int) bool {
		p.progress[i].came = true
		if p.schedule.Steps[i].Skip {
			p.skip(i, "the schedule says so")
			return true
		}
		if when := p.schedule.Steps[i].When; !when.IsZero() {
			p.progress[i].count = p.worldOf(p.schedule.Steps[i]).watcher.count(when.Event)
		}
		return false
	})
	return c
}

func (p *player) isHeld(number int) bool { _, is := p.held[number]; return is }

// ready is the step with names in place of its role, if it may begin now; the error says what it waits for.
func (p *player) ready(number int) (Step, error) {
	step := p.schedule.Steps[number]
	if !step.When.IsZero() {
		came, ok := p.worldOf(step).came(step, p.progress[number].count)
		if !ok {
			return step, fmt.Errorf("%s did not come", step.When)
		}
		if time.Since(came) < step.After {
			return step, fmt.Errorf("%s came, and no %s were left", step.When, step.After)
		}
		step.Fired, step.When, step.After = step.When, Trigger{}, 0
	}
	if !p.schedule.Steps[number].waits() {
		return step, nil
	}
	step.Within = 0
	step.At = time.Since(p.began).Round(time.Millisecond)
	return p.resolveNow(step)
}

// goAhead lets a step begin as it is ready.
func (p *player) goAhead(number int, step Step) {
	delete(p.held, number)
	if !step.Fired.IsZero() && p.schedule.Steps[number].Fired.IsZero() {
		p.notes[number] = "after " + step.Fired.String()
	}
	p.schedule.Steps[number] = step
}

// await waits until a moment of the run, and meanwhile does what was held and may be done. It is not
// reached if something was done, since what is next may then be something else.
func (p *player) await(ctx context.Context, at time.Duration) (reached bool, err error) {
	due := p.began.Add(at)
	for len(p.held) > 0 && time.Until(due) > p.retryEvery() {
		if err := sleep(ctx, p.retryEvery()); err != nil {
			return false, err
		}
		if p.retry(ctx) {
			return false, nil
		}
	}
	return true, sleep(ctx, time.Until(due))
}

// retryEvery is the pause between two looks at what is held: short where the moment counts.
func (p *player) retryEvery() time.Duration {
	for i, h := range p.held {
		if h.stage == history.FaultStart && p.schedule.Steps[i].waits() {
			return pollEvery / 5
		}
	}
	return pollEvery
}

// retry does what was held, if it may be done now, and reports whether anything was.
func (p *player) retry(ctx context.Context) (done bool) {
	for _, i := range sortedKeys(p.held) {
		c := change{at: p.held[i].at}
		if p.held[i].stage == history.FaultHeal {
			c.heals = []int{i}
		} else {
			if step, why := p.ready(i); why != nil {
				p.held[i] = held{i, c.at, history.FaultStart, why}
				continue
			} else if p.schedule.Steps[i].waits() {
				c.at = step.At
			}
			c.starts = []int{i}
		}
		p.change(ctx, c)
		done = done || !p.isHeld(i)
	}
	return done
}

// abandon marks a step that waited until it was over.
func (p *player) abandon(number int) {
	why := p.held[number].why
	delete(p.held, number)
	p.fail(number, fmt.Sprintf("not done: %v", why))
}

// skip marks a step that is not played.
func (p *player) skip(number int, why string) {
	p.progress[number].over = true
	p.schedule.Steps[number].Skip = true
	step := p.schedule.Steps[number]
	p.mark(history.Op(step.Name()), history.FaultEvent{Step: number, Stage: history.FaultSkip, Done: true, Asked: step.Label(),
		Evidence: &faults.Evidence{Error: why}})
}

// wake sets when a step ends that says so only once another leads.
func (p *player) wake(part *part) {
	if d := wakesAfter(part.step.Fault); d > 0 && part.evidence.Error == "" {
		p.progress[part.number].healAt = max(p.worldOf(part.step).watcher.since().Add(d).Sub(p.began), time.Since(p.began))
	}
}
