package nemesis

import "os"

// seedsOf is how many schedules to draw: many in `make self`, where FAULTLINE_SELF is "all", and few in `make test`.
func seedsOf(many, few uint64) uint64 {
	if os.Getenv("FAULTLINE_SELF") == "all" {
		return many
	}
	return few
}
