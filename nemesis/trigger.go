package nemesis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Trigger is an event of a run that a step waits for. Its text is the event's name, and for
// open-operations how many: "open-operations >= 8".
type Trigger struct {
	Event string
	Least int // operations that are under way at once; 0 for other events
}

// The events that a step may wait for.
const (
	LeaderElected  = "leader-elected"  // a server leads in a later term than any before
	LeaderLost     = "leader-lost"     // who led says no more that it does, or does not answer
	ConfigChange   = "config-change"   // the leader's peer set is another one, or others vote
	OpenOperations = "open-operations" // so many operations of clients are under way
)

var events = []string{ConfigChange, LeaderElected, LeaderLost, OpenOperations}

// DefaultWithin is how long a step waits for its trigger, or an optional one for its role, if it does not say.
const DefaultWithin = 10 * time.Second

// IsZero reports whether nothing is waited for.
func (t Trigger) IsZero() bool { return t == Trigger{} }

func (t Trigger) String() string {
	if t.Event != OpenOperations {
		return t.Event
	}
	return fmt.Sprintf("%s >= %d", t.Event, t.Least)
}

// TriggerPattern is a regular expression of the texts of triggers.
const TriggerPattern = `^(config-change|leader-elected|leader-lost|open-operations >= [1-9][0-9]*)$`

const wantTrigger = "leader-elected, leader-lost, config-change, or open-operations >= 8"

func parseTrigger(text string) (t Trigger, ok bool) {
	fields := strings.Fields(text)
	if len(fields) == 1 && fields[0] != OpenOperations && slices.Contains(events, fields[0]) {
		return Trigger{Event: fields[0]}, true
	}
	if len(fields) != 3 || fields[0] != OpenOperations || fields[1] != ">=" {
		return t, false
	}
	least, err := strconv.Atoi(fields[2])
	return Trigger{OpenOperations, least}, err == nil && least > 0
}

// waits reports whether the step begins when it can: at its trigger, or once somebody has its role.
func (s Step) waits() bool { return !s.When.IsZero() || s.Optional && s.aims() }

// patience is how long the step may wait.
func (s Step) patience() time.Duration {
	switch {
	case !s.waits():
		return 0
	case s.Within == 0:
		return DefaultWithin
	}
	return s.Within
}

// mayFail reports whether a step that cannot begin is skipped, and proves nothing less.
func (s Step) mayFail() bool { return s.Optional || !s.When.IsZero() }
