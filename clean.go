package faultline

import (
	"context"

	"faultline/nodes"
	"faultline/nodes/consul"
	"faultline/nodes/pods"
)

// Cleaner removes one kind of what killed runs have left on this machine.
type Cleaner func(context.Context) (nodes.Cleaned, error)

// Cleaners lists all of them. None needs a checkout, or that the machine could run anything.
func Cleaners() []Named[Cleaner] {
	// Disks first: what waits for their servers can be removed after that.
	all := []Named[Cleaner]{{"disks", "disks whose servers were killed and cannot end", cleanDisks}}
	for _, line := range Runtimes() {
		all = append(all, Named[Cleaner]{line.Name, "what runs of the runtime " + line.Name + " left", line.Make().Clean})
	}
	return append(all,
		Named[Cleaner]{"builds", "what was half built", cleanBuilds})
}

func cleanBuilds(context.Context) (nodes.Cleaned, error) {
	removed, err := pods.CleanBuilds(append(consul.BuildLeftovers(), pods.BuildLeftovers()...))
	return nodes.Cleaned{Removed: removed}, err
}
