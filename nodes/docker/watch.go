package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"faultline/nodes/pods"
	"faultline/workloads/history"
)

// life is one start of a node's container. Each is watched from its start on, and the next begins
// when its end is in the record: so nothing is missed, however fast a node is killed and started.
type life struct {
	over chan struct{} // closed when its end is in the record, or will never be

	// What follows is known once it is over.
	started time.Time            // by the engine's clock
	end     history.ProcessEvent // of no kind: the cluster was closed or lost before
}

const watchRetry = 200 * time.Millisecond

// Watch reports what follow records; guard looks for what makes it end.
func (c *cluster) Watch(ctx context.Context, report func(history.ProcessEvent)) error {
	return c.lives.Watch(ctx, report)
}

// waitEnd waits until the end of the node's last process is in the record.
func (c *cluster) waitEnd(ctx context.Context, p *pod) error {
	last := p.life.Load()
	if last == nil {
		return nil
	}
	select {
	case <-last.over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting until %s exits: %w", p.node.Name, context.Cause(ctx))
	}
}

// follow records a start of the node's container, which was asked for at that moment, and later
// its end.
func (c *cluster) follow(p *pod, asked time.Time) {
	l := &life{over: make(chan struct{})}
	p.life.Store(l)
	go func() {
		defer close(l.over)
		c.record(c.watching, p, l, asked)
	}()
}

func (c *cluster) record(ctx context.Context, p *pod, l *life, asked time.Time) {
	name := p.node.Name
	start := history.ProcessEvent{Node: name, Kind: history.ProcessStarted, At: time.Now()}
	oomBefore := false
	if seen, err := c.inspect(ctx, "looking at "+name, p.container); err == nil { // else its PID stays untold
		l.started, oomBefore = seen.started, seen.State.OOMKilled && seen.State.Running
		start.PID, start.At = seen.State.Pid, pods.Moment(l.started, asked, start.At)
	}
	c.lives.Add(start)
	code, err := c.waitExit(ctx, p)
	if err != nil {
		return
	}
	end := ended(code)
	end.Node, end.PID, end.At = name, start.PID, time.Now()
	if seen, err := c.inspect(ctx, "looking at "+name, p.container); err == nil && !seen.State.Running {
		l.started = seen.started
		end.At = pods.Moment(seen.finished, start.At, end.At)
		end.OutOfMemory = end.Signal == "SIGKILL" && seen.State.OOMKilled && !oomBefore
	}
	c.lives.Add(end)
	l.end = end
}

// waitExit waits until the node's container does not run. An engine that breaks off is asked
// again, until the cluster is closed: how long that may go on is for guard to say.
func (c *cluster) waitExit(ctx context.Context, p *pod) (code int, err error) {
	for {
		code, err := call(ctx, c.engine, noLimit, "waiting until "+p.node.Name+" exits", func(ctx context.Context) (int, error) {
			wait := c.engine.client.ContainerWait(ctx, p.container, client.ContainerWaitOptions{})
			select {
			case end := <-wait.Result:
				if end.Error != nil {
					return 0, errors.New(end.Error.Message)
				}
				return int(end.StatusCode), nil
			case err := <-wait.Error:
				return 0, err
			}
		})
		if err == nil || ctx.Err() != nil || errdefs.IsNotFound(err) {
			return code, err
		}
		select {
		case <-time.After(watchRetry):
		case <-ctx.Done():
		}
	}
}

// startedAnyway reports whether a container of which a start failed has started all the same: an
// engine that is slow goes on after it was given up.
func (c *cluster) startedAnyway(ctx context.Context, p *pod) bool {
	seen, err := c.inspect(context.WithoutCancel(ctx), "looking at "+p.node.Name, p.container)
	if err != nil {
		return false
	}
	var last time.Time
	if l := p.life.Load(); l != nil {
		last = l.started
	}
	return seen.started.After(last)
}

// guard looks, again and again until ctx ends, whether the cluster is still there.
func (c *cluster) guard(ctx context.Context) {
	var failing time.Time // since when the engine does not answer
	for {
		lost, err := c.findLoss(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		}
		if err != nil && (errors.Is(err, errSlow) || time.Since(failing) >= c.engine.limits.gone) {
			lost = fmt.Errorf("the engine is gone: not by Faultline: %w", err)
		}
		if lost != nil {
			c.lives.Lose(lost)
			return
		}
		select {
		case <-time.After(guardPause):
		case <-ctx.Done():
			return
		}
	}
}

const guardPause = 500 * time.Millisecond

// findLoss looks at all containers of the cluster. What lacks is lost; an error is the engine's.
func (c *cluster) findLoss(ctx context.Context) (lost, err error) {
	mine := func(labels map[string]string) bool { return labels[labelCluster] == c.id }
	found, holders, err := c.engine.listContainers(ctx, labelCluster+"="+c.id, mine)
	if err != nil {
		return nil, err
	}
	states := map[string]container.ContainerState{} // by container
	for _, f := range append(found, holders...) {
		states[f.ID] = f.State
	}
	for _, p := range c.pods {
		switch state := states[p.holder]; state {
		case container.StateRunning:
		case "":
			return fmt.Errorf("the pod of %s was removed: not by Faultline", p.node.Name), nil
		default:
			return c.podLost(ctx, p, state), nil
		}
		if states[p.container] == "" {
			return fmt.Errorf("the container of %s was removed: not by Faultline", p.node.Name), nil
		}
	}
	return nil, nil
}

// podLost says how a holder has come to a state that is not running.
func (c *cluster) podLost(ctx context.Context, p *pod, state container.ContainerState) error {
	what := "the pod of " + p.node.Name
	seen, err := c.inspect(ctx, "looking at "+what, p.holder)
	if err != nil || seen.State.Running { // removed meanwhile, or paused
		return fmt.Errorf("%s is %s: not by Faultline", what, state)
	}
	return fmt.Errorf("%s has ended (exit code %d): not by Faultline", what, seen.State.ExitCode)
}

// inspection is what the engine tells of one container, whose State is there.
type inspection struct {
	container.InspectResponse
	started, finished time.Time // zero if it never was
}

func (c *cluster) inspect(ctx context.Context, what, id string) (inspection, error) {
	return call(ctx, c.engine, c.engine.limits.call, what, func(ctx context.Context) (inspection, error) {
		got, err := c.engine.client.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return inspection{}, err
		}
		if got.Container.State == nil {
			return inspection{}, errors.New("the engine tells no state")
		}
		seen := inspection{InspectResponse: got.Container}
		if seen.started, err = parseTime(seen.State.StartedAt); err != nil {
			return inspection{}, err
		}
		seen.finished, err = parseTime(seen.State.FinishedAt)
		return seen, err
	})
}

// parseTime reads a time of the engine's; what it leaves out is zero.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// ended is the end of a process with the exit code that engines tell: 128+n is the signal n
// (runc, and every shell, count so). A process that exits with such a code by itself cannot be
// told from that.
func ended(code int) history.ProcessEvent {
	e := history.ProcessEvent{Kind: history.ProcessEnded}
	if signal := code - 128; 0 < signal && signal < len(signals) {
		e.Signal = signals[signal]
	} else {
		e.Code = code
	}
	return e
}

// signals are those of Linux (signal(7)), by number; the harness may run elsewhere.
var signals = [...]string{"", "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1",
	"SIGSEGV", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN",
	"SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS"}
