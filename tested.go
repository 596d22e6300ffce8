package faultline

import (
	"context"
	"fmt"

	"faultline/checker/rundir"
	"faultline/nodes"
)

// built is a system whose image has been made: what was looked at is what is started.
type built struct {
	nodes.System
	image nodes.Image
}

func (b built) Image(context.Context) (nodes.Image, error) { return b.image, nil }

// build makes the system's image, and writes into the run directory which program that has.
func (p *plan) build(ctx context.Context, dir string, record *rundir.Record) error {
	image, err := p.system.Image(ctx)
	if err != nil {
		return fmt.Errorf("the binary of %s: %w", p.system.Name(), err)
	}
	p.system = built{p.system, image}
	binary, err := nodes.ReadBinary(image.Program)
	if err != nil {
		return fmt.Errorf("the binary of %s: %w", p.system.Name(), err)
	}
	record.Binary = &binary
	return rundir.WriteRecord(dir, *record)
}
