package faultline

import (
	"context"

	"faultline/nodes"
)

// broken ends when code that the harness calls has panicked. Where that was, the error may
// be taken for one that passes; the run as a whole is then no run, and breaks off.
type broken struct {
	context.Context
	cancel context.CancelCauseFunc
}

func newBroken() *broken {
	ctx, cancel := context.WithCancelCause(context.Background())
	return &broken{ctx, cancel}
}

// by is told of a panic; the first counts.
func (b *broken) by(p *nodes.Panicked) { b.cancel(p) }

// err is the first panic, or nil.
func (b *broken) err() error { return context.Cause(b) }
