//go:build linux

package local

import (
	"context"
	"fmt"
	"time"

	"faultline/nodes/local/space"
	"faultline/nodes/pods"
	"faultline/workloads/history"
)

// Watch reports what the pods' supervisors have told.
func (c *cluster) Watch(ctx context.Context, report func(history.ProcessEvent)) error {
	return c.lives.Watch(ctx, report)
}

// recorder puts what a pod's supervisor tells, in its order, into the cluster's record.
func (c *cluster) recorder(node string) func(space.Event) {
	last := time.Now()
	var oomBefore uint64
	return func(e space.Event) {
		if e.Kind != space.Started && e.Kind != space.Ended {
			return
		}
		last = pods.Moment(e.At, last, time.Now())
		told := e.Process(node)
		told.At = last
		kills, known := c.oom.count()
		switch {
		case e.Kind == space.Started:
			oomBefore = kills
		case known && e.Signal == sigkill:
			told.OutOfMemory = kills > oomBefore
		}
		c.lives.Add(told)
	}
}

const sigkill = "SIGKILL"

// gone explains why the streams of a pod have ended, and records that the cluster is lost; of one
// that is closed nothing is recorded any more.
func (c *cluster) gone(node string, err error) error {
	err = c.host.gone(err)
	what := "the pod of " + node
	if state, over := c.host.over(); over {
		what = fmt.Sprintf("the process that all pods live in (%s)", state)
	}
	c.lives.Lose(fmt.Errorf("%s has ended: not by Faultline: %w", what, err))
	return err
}

// over reports whether the cluster's PID 1 has ended, and how.
func (h *host) over() (how string, over bool) {
	select {
	case <-h.ended:
		return h.cmd.ProcessState.String(), true
	default:
		return "", false
	}
}
