package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// holderEnded adds to an error of a pod what its holder said, if that has ended: the engine
// tells only that a port or a process is not there.
func (c *cluster) holderEnded(ctx context.Context, p *pod, err error) error {
	if err == nil || p.holder == "" || ctx.Err() != nil {
		return err
	}
	what := "the pod of " + p.node.Name
	seen, lookErr := c.inspect(ctx, "looking at "+what, p.holder)
	if lookErr != nil {
		return errors.Join(err, lookErr)
	}
	if seen.State.Running || seen.started.IsZero() {
		return err
	}
	var log bytes.Buffer
	logErr := c.logs(ctx, what, p.holder, &log, lastWords)
	wayOut := ""
	if c.rights.Disk {
		wayOut = "; disk faults take " + fuse + " and SYS_ADMIN, which an engine without root, or a policy of the machine (SELinux, " +
			"seccomp), may refuse to containers: leave them out, or take another runtime"
	}
	return errors.Join(fmt.Errorf("%s ended with exit code %d: %s%s: %w", what, seen.State.ExitCode,
		bytes.TrimSpace(log.Bytes()), wayOut, err), logErr)
}
