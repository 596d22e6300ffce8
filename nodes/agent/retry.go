package agent

import (
	"errors"

	"faultline/nodes"
	"faultline/workloads/history"
)

// shouldRetry reports whether a call that failed is retried. This is the only place that
// decides it. The table of history.Code says which failures certainly left no effect; after
// any other, a retry could carry a write out twice. A datacenter to which there is no way has been
// tried as far as this agent can: it is for the caller to wait, or to ask elsewhere.
func shouldRetry(read, across bool, err error, d defects) bool {
	code := nodes.CodeOf(err)
	if code == history.NoPath || code == history.DCDown || code == history.DCFailed {
		return false
	}
	return !code.Final() && (read || code.Definite() || d[ForwardRetryDoubles] || across && d[WANRetryDoubles])
}

// shouldFailover reports whether a client agent switches to another server after an error: one
// that says that the server, or the network to it, has failed.
func shouldFailover(err error) bool { return !nodes.CodeOf(err).Final() }

// lastError is the error of a call after the last attempt. Several definite ones only mean that
// no leader was found, or what it means that no connection could be made.
func lastError(err error, unconnected history.Code) error {
	switch code := nodes.CodeOf(err); {
	case code == history.NotLeader, unconnected == history.NoLeader && (code == history.Unreachable || code == history.Refused):
		return nodes.Errorf(history.NoLeader, "No cluster leader: %s", textOf(err))
	case code == history.Unreachable, code == history.Refused:
		return nodes.Errorf(unconnected, "%s: %s", unconnectedTexts[unconnected], textOf(err))
	}
	return err
}

// unconnectedTexts begin as Consul's where it has the same.
var unconnectedTexts = map[history.Code]string{
	history.NoServer: "No known Consul servers can be connected to",
	history.DCDown:   "Remote DC has no server currently reachable, and none is taken to be alive",
	history.DCFailed: "Remote DC has no server that can be connected to, of those that there was time to try",
}

// textOf is an error's message without its code.
func textOf(err error) string {
	var e *nodes.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}
