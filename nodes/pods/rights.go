package pods

import (
	"slices"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
)

// RightsFor is what pods need to make such conditions true.
func RightsFor(needs []faults.Capability) injector.Rights {
	anyOf := func(kinds ...faults.Capability) bool {
		return slices.ContainsFunc(needs, func(n faults.Capability) bool { return slices.Contains(kinds, n) })
	}
	return injector.Rights{
		Clock: anyOf(faults.ClockWall, faults.ClockMonotonic),
		Disk:  anyOf(faults.ProcessOff, faults.DiskSync, faults.DiskSlow, faults.DiskFull, faults.DiskError, faults.DiskDamage),
	}
}
