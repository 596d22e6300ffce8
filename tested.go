package faultline

import (
	"context"
	"fmt"

	"faultline/checker/rundir"
	"faultline/nodes"
)

// built is a system whose binary has been made: what was looked at is what is started.
type built struct {
	nodes.System
	path string
}

func (b built) Binary(context.Context) (string, error) { return b.path, nil }

// build makes the system's binary, and writes into the run directory which it is.
func (p *plan) build(ctx context.Context, dir string, record *rundir.Record) error {
	path, err := p.system.Binary(ctx)
	if err != nil {
		return fmt.Errorf("the binary of %s: %w", p.system.Name(), err)
	}
	binary, err := nodes.ReadBinary(path)
	if err != nil {
		return fmt.Errorf("the binary of %s: %w", p.system.Name(), err)
	}
	p.system = built{p.system, path}
	record.Binary = &binary
	return rundir.WriteRecord(dir, *record)
}
