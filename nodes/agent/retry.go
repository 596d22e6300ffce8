package agent

import (
	"errors"

	"faultline/nodes"
	"faultline/workloads/history"
)

// shouldRetry reports whether a call that failed is retried. This is the only place that
// decides it. The table of history.Code says which failures certainly left no effect; after
// any other, a retry could carry a write out twice.
func shouldRetry(read bool, err error, d defects) bool {
	code := nodes.CodeOf(err)
	return !code.Final() && (read || code.Definite() || d[ForwardRetryDoubles])
}

// shouldFailover reports whether a client agent switches to another server after an error: one
// that says that the server, or the network to it, has failed.
func shouldFailover(err error) bool { return !nodes.CodeOf(err).Final() }

// lastError is the error of a call after the last attempt. Several definite ones only mean that
// no leader was found.
func lastError(err error) error {
	switch nodes.CodeOf(err) {
	case history.NotLeader, history.Unreachable, history.Refused:
		return nodes.Errorf(history.NoLeader, "No cluster leader: %s", textOf(err))
	}
	return err
}

// textOf is an error's message without its code.
func textOf(err error) string {
	var e *nodes.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}
