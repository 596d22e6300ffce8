package clean

import (
	"context"

	"faultline/nodes"
	"faultline/nodes/injector/disk"
)

// abortDisks frees the processes of nodes whose disk's server was killed and cannot end.
func abortDisks(context.Context) (nodes.Cleaned, error) {
	var cleaned nodes.Cleaned
	aborted, err := disk.AbortAbandoned()
	for _, a := range aborted {
		cleaned.Removed = append(cleaned.Removed, a.String())
	}
	return cleaned, err
}
