package pods

import (
	"slices"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
)

// RightsFor is what pods need to make such conditions true.
func RightsFor(needs []faults.Capability) injector.Rights {
	return injector.Rights{
		Clock: slices.ContainsFunc(needs, faults.Capability.Clock),
		Disk:  slices.ContainsFunc(needs, faults.Capability.Disk),
	}
}
