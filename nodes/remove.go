package nodes

import (
	"context"
	"fmt"
	"time"
)

const (
	closeWithin = 30 * time.Second
	closeTries  = 3
	closePause  = time.Second
)

// Remove takes a cluster away, even if ctx is over. A Close that failed is called again: it
// may only have met something that has passed by then.
func Remove(ctx context.Context, cluster Cluster) (err error) {
	for range closeTries {
		if err = closeOnce(ctx, cluster); err == nil {
			return nil
		}
		time.Sleep(closePause)
	}
	return fmt.Errorf("the cluster was not removed, so run `faultline clean`: %w", err)
}

func closeOnce(ctx context.Context, cluster Cluster) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), closeWithin, fmt.Errorf("not closed within %v", closeWithin))
	defer cancel()
	return cluster.Close(ctx)
}
