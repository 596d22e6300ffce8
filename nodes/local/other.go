//go:build !linux

// Package local runs clusters in Linux namespaces. This is not Linux.
package local

import (
	"context"
	"errors"

	"faultline/nodes"
	"faultline/nodes/faults"
)

// New is a runtime that this machine does not offer.
func New() nodes.Runtime { return runtime{} }

type runtime struct{}

var errNotLinux = errors.New("namespaces are Linux's: run Faultline in a Linux machine")

func (runtime) Name() string                                      { return "local" }
func (runtime) Capabilities() []faults.Capability                 { return nil }
func (runtime) Check(context.Context, ...faults.Capability) error { return errNotLinux }
func (runtime) Start(context.Context, nodes.Spec) (nodes.Cluster, error) {
	return nil, errNotLinux
}
func (runtime) Clean(context.Context) (nodes.Cleaned, error) {
	return nodes.Cleaned{}, errors.Join(errNotLinux, nodes.ErrAbsent)
}
