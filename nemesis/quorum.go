package nemesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// A schedule that never takes a majority away (voters.go) may still do so when it is played: who has joined or come
// back votes only after a while (Consul's autopilot waits 10 s), or never, if nobody gives it a vote. So right before a
// step takes voters away for longer than a process is down (leave, remove, replace, and the end of a join), it is
// asked who votes and which of those run, and the step waits until those that would be left are a majority. The
// schedule goes on meanwhile. A step that still waits when it should end is not done, and its mark says why. Steps
// with BelowMajority do not wait; nor do steps that only end, stop or cut off processes, which give back what
// they take.

// cannotAsk is said of systems whose clients cannot look at the peer set.
const cannotAsk = "who votes cannot be asked"

// aliveWithin bounds the question whether a voter runs.
const aliveWithin = time.Second

// errUnasked is the reason not to wait.
var errUnasked = errors.New(cannotAsk)

// held is a step that waits to begin, or to be healed.
type held struct {
	number int
	at     time.Duration // when it was due
	stage  history.Stage
	why    error
}

// hold leaves out of a change what has to wait, and keeps it for later.
func (p *player) hold(ctx context.Context, c change) change {
	if p.aborting {
		return c
	}
	var taken []string // by this change so far
	keep := func(numbers []int, stage history.Stage, takes func(Kind) bool) []int {
		return slices.DeleteFunc(slices.Clone(numbers), func(i int) bool {
			if _, begun := p.lasting[i]; !begun && stage == history.FaultHeal {
				return false
			}
			step := p.schedule.Steps[i]
			if stage == history.FaultStart {
				var why error
				if step, why = p.ready(i); why != nil {
					p.held[i] = held{i, c.at, stage, why}
					return true
				}
			}
			if !takes(step.Fault.Kind()) || mayGoBelow(step.Fault) {
				p.goAhead(i, step)
				return false
			}
			targets, why := p.mayTake(ctx, step, taken)
			switch {
			case errors.Is(why, errUnasked):
				p.notes[i] = cannotAsk
			case why != nil:
				p.held[i] = held{i, c.at, stage, why}
				p.notes[i] = "waited, since " + why.Error()
				return true
			}
			taken = append(taken, targets...)
			p.goAhead(i, step)
			return false
		})
	}
	c.heals = keep(c.heals, history.FaultHeal, func(k Kind) bool { return k.AddsVoters })
	c.starts = keep(c.starts, history.FaultStart, func(k Kind) bool { return k.RemovesVoters })
	return c
}

// mayTake tells whom a step takes, and why it may not yet, after others have been taken.
func (p *player) mayTake(ctx context.Context, step Step, taken []string) (targets []string, why error) {
	if _, err := membersOf(p.World, p.Topology.Nodes()[0].Name); err != nil {
		return nil, errUnasked
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	if step.withDefaults().Target.Word == Primary {
		leader, err := p.worldOf(step).leader(ctx)
		if err != nil {
			return nil, nil // nobody to hit: whoever begins the step says so
		}
		targets = []string{leader}
	} else {
		if step, why = p.resolveNow(step); why != nil {
			return nil, why
		}
		targets = step.nodes(p.Topology)
	}
	return targets, majorityWithout(ctx, p.worldOf(step), p.conditions(), slices.Concat(taken, targets))
}

// majorityWithout is nil if, without some nodes, a majority of those who vote now is left and runs.
func majorityWithout(ctx context.Context, w World, now faults.Conditions, gone []string) error {
	peers, err := peersOf(ctx, w)
	if err != nil {
		return fmt.Errorf("nobody says who votes: %w", err)
	}
	voters := slices.DeleteFunc(peers, func(p nodes.Peer) bool { return !p.Voter })
	running := runningOf(ctx, w, now, voters)
	left := slices.DeleteFunc(slices.Clone(running), func(node string) bool { return slices.Contains(gone, node) })
	if len(left) >= majorityOf(len(voters)) {
		return nil
	}
	return fmt.Errorf("of %s %s and without %s %d would, which is no majority", faults.Count(len(voters), "voter"),
		runs(running), strings.Join(gone, ", "), len(left))
}

func runs(running []string) string {
	if len(running) == 1 {
		return running[0] + " runs,"
	}
	return strings.Join(running, ", ") + " run,"
}

// runningOf lists who of a peer set runs: who is not meant to be down, and answers by the identity that votes.
func runningOf(ctx context.Context, w World, now faults.Conditions, voters []nodes.Peer) []string {
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	alive := make([]bool, len(voters))
	var asking sync.WaitGroup
	for i, voter := range voters {
		if _, ok := w.Topology.Node(voter.Node); !ok || now.Processes[voter.Node] != faults.Running {
			continue
		}
		asking.Go(func() {
			op, err := membersOf(w, voter.Node)
			if err != nil {
				return
			}
			id, err := op.Identity(ctx)
			alive[i] = err == nil && id == voter.ID
		})
	}
	asking.Wait()
	var running []string
	for i, voter := range voters {
		if alive[i] {
			running = append(running, voter.Node)
		}
	}
	slices.Sort(running)
	return running
}

// release waits for steps whose heal is held, once nothing else lasts, and gives up after a while: then they are
// healed regardless.
func (p *player) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, workWithin)
	defer cancel()
	for len(p.held) > 0 && sleep(ctx, pollEvery) == nil {
		p.retry(ctx)
	}
}
