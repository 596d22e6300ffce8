package faultline

import (
	"cmp"
	"context"
	"fmt"

	"faultline/nodes"
)

// built is a system whose binary has been made: what was looked at is what is started.
type built struct {
	nodes.System
	path string
}

func (b built) Binary(context.Context) (string, error) { return b.path, nil }

// build makes the system's binary, and writes into the run directory which it is.
func (p *plan) build(ctx context.Context, dir string, record *Record) error {
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
	return writeJSON(dir, fileRecord, record)
}

// allVersions are those of a record, with that of what was tested.
func (r Record) allVersions() map[string]string {
	all := map[string]string{}
	for name, version := range r.Versions {
		all[name] = version
	}
	if r.Binary == nil {
		return all
	}
	version := "sha256:" + r.Binary.SHA256
	if g := r.Binary.Go; g != nil {
		version = fmt.Sprintf("%s %s %s", cmp.Or(g.Module, g.Path), cmp.Or(g.Revision, g.Version), version)
	}
	all["tested binary"] = version
	return all
}
