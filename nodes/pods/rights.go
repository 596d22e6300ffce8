package pods

import (
	"slices"

	"faultline/nodes"
	"faultline/nodes/injector"
)

// RightsFor is what pods need to make such conditions true.
func RightsFor(needs []nodes.Capability) injector.Rights {
	anyOf := func(kinds ...nodes.Capability) bool {
		return slices.ContainsFunc(needs, func(n nodes.Capability) bool { return slices.Contains(kinds, n) })
	}
	return injector.Rights{
		Clock: anyOf(nodes.ClockWall, nodes.ClockMonotonic),
		Disk:  anyOf(nodes.ProcessOff, nodes.DiskSync, nodes.DiskFull, nodes.DiskError, nodes.DiskDamage),
	}
}
