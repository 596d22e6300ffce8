package agent

import (
	"errors"

	"faultline/nodes"
	"faultline/workloads/history"
)

// again decides whether a call that failed is made again. This is the only place that
// does. The table of history.Code says which failures certainly left no effect; after any
// other, calling again could carry a write out twice.
func again(read bool, err error, d defects) bool {
	code := nodes.CodeOf(err)
	return !code.Final() && (read || code.Definite() || d[ForwardRetryDoubles])
}

// elsewhere reports whether a client agent turns to another server after an error: one
// that says that the server, or the way to it, is in trouble.
func elsewhere(err error) bool { return !nodes.CodeOf(err).Final() }

// gaveUp is the error of a call after the last attempt. That no leader was found is the
// whole story of several definite ones.
func gaveUp(err error) error {
	switch nodes.CodeOf(err) {
	case history.NotLeader, history.Unreachable, history.Refused:
		return nodes.Errorf(history.NoLeader, "No cluster leader: %s", textOf(err))
	}
	return err
}

// textOf is what the error says to people, without its code.
func textOf(err error) string {
	var e *nodes.Error
	if errors.As(err, &e) {
		return e.Text
	}
	return err.Error()
}
