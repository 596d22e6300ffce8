package faults

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is what an action looked at that no probe of a runtime measures (who leads, who
// votes, how often a node was killed): what was to be seen, and what was.
type Finding struct {
	About string   `json:"about"` // such as "leader", "voters", "kills"
	Want  Relation `json:"want"`  // of Got to Names, or of Count to Least
	Names []string `json:"names,omitempty"`
	Got   []string `json:"got,omitempty"`
	Least uint64   `json:"least,omitempty"`
	Count uint64   `json:"count,omitempty"`
	Words string   `json:"words,omitempty"` // what was seen, for people
}

// Relation is how what was seen is to stand to what was asked.
type Relation string

const (
	Has     Relation = "has"      // Got holds every one of Names
	Lacks   Relation = "lacks"    // Got holds none of Names, and holds something
	AtLeast Relation = "at-least" // Count is Least or more
)

// Holds reports whether what was seen is what was to be seen. Nothing seen never is.
func (f Finding) Holds() bool {
	named := func(name string) bool { return slices.Contains(f.Got, name) }
	switch f.Want {
	case Has:
		return len(f.Names) > 0 && !slices.ContainsFunc(f.Names, func(name string) bool { return !named(name) })
	case Lacks:
		return len(f.Names) > 0 && len(f.Got) > 0 && !slices.ContainsFunc(f.Names, named)
	case AtLeast:
		return f.Least > 0 && f.Count >= f.Least
	}
	return false
}

// String says what was to be seen and what was: "leader: dc1-s2, which lacks dc1-s1".
func (f Finding) String() string {
	if f.Want == AtLeast {
		return fmt.Sprintf("%s: %d, and at least %d were asked for", f.About, f.Count, f.Least)
	}
	return fmt.Sprintf("%s: %s, to be seen: %s %s", f.About, cmp.Or(strings.Join(f.Got, ", "), "nothing seen"), f.Want, strings.Join(f.Names, ", "))
}
