package history

import (
	"encoding/json"
	"fmt"

	"faultline/nodes/faults"
)

// Stage is a point in the life of a fault.
type Stage string

const (
	FaultStart Stage = "start"
	FaultHeal  Stage = "heal"
	FaultSkip  Stage = "skip"     // a step that may be left out was: one event, with the reason as its evidence's error
	Baseline   Stage = "baseline" // a check, after the last heal, that all is as before
)

// The F of the events about the checks of the baseline.
const (
	FBaseline    Op = "baseline"     // right after the last heal; what is to recover counts from there
	FBaselineEnd Op = "baseline-end" // at the end of the run
)

// FaultEvent is the value of a nemesis event. Every stage has two: one when the change
// begins, and one, with Done and Evidence, when it has been made and measured.
type FaultEvent struct {
	Step    int      `json:"step"` // position in resolved.yaml, from 0; -1 for the baseline
	Stage   Stage    `json:"stage"`
	Done    bool     `json:"done"`
	Lasts   bool     `json:"lasts,omitempty"`   // a heal will follow
	Kills   bool     `json:"kills,omitempty"`   // it ends processes
	Exits   bool     `json:"exits,omitempty"`   // its targets may end by themselves, or be unable to start
	Wipes   bool     `json:"wipes,omitempty"`   // it empties the disks of its targets
	Rejoins bool     `json:"rejoins,omitempty"` // its targets join the peer set anew when they start after it
	Fatal   bool     `json:"fatal,omitempty"`   // it may take what no cluster can get back by itself
	Targets []string `json:"targets,omitempty"` // node names, live roles resolved
	Asked   string   `json:"asked,omitempty"`   // what was to become true, in words

	Evidence *faults.Evidence `json:"evidence,omitempty"`

	// What follows is not written any more: [ParseFaultEvent] says it from the evidence. In
	// run directories of a format below 2 the harness wrote it down instead.
	Measured string `json:"measured,omitempty"` // in words
	Verified bool   `json:"proved,omitempty"`   // what was measured is what was asked
	Error    string `json:"error,omitempty"`    // why it is not
}

// ParseFaultEvent reads the value of a nemesis event. What its evidence shows is decided
// here, by [faults.Evidence.Gaps] and Unasked, however the harness saw it.
func ParseFaultEvent(value []byte) (FaultEvent, error) {
	var m FaultEvent
	if err := json.Unmarshal(value, &m); err != nil {
		return m, err
	}
	if m.Evidence != nil {
		gaps := m.Evidence.Gaps()
		if m.Stage == FaultStart {
			gaps = append(m.Evidence.Unasked(), gaps...)
		}
		m.Measured, m.Verified, m.Error = m.Evidence.Words(m.Targets), len(gaps) == 0, faults.Summary(gaps)
	}
	return m, nil
}

// Fault is one fault of a run, from its marks.
type Fault struct {
	Step         int
	Name         string
	Targets      []string
	Start        int64 // ns, when the change began
	Heal         int64 // ns, when its heal began; for a momentary fault, when it was done; Open if neither came
	Healed       int64 // ns, when the heal was done; Open if the run ended before
	Asked        string
	Measured     string
	Verified     bool
	HealMeasured string
	HealVerified bool
	Kills        bool // it ends the processes of its targets
	Exits        bool // it lets them end by themselves
	Wipes        bool // it empties their disks
	Rejoins      bool // they join the peer set anew when they start
	Fatal        bool // it may take what no cluster can get back by itself
	Momentary    bool // an action, which has no heal
	Error        string
}

// Faults collects the faults of a history in the order of their start, and the check of the
// baseline: the last one, or the first that was not verified; nil if the run did not come to any.
func Faults(events []Event) (all []Fault, baseline *FaultEvent, err error) {
	at := map[int]int{}
	for i := range events {
		e := &events[i]
		if e.Process != Nemesis {
			continue
		}
		m, err := ParseFaultEvent(e.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("event %d: %w", e.Index, err)
		}
		switch m.Stage {
		case FaultSkip: // nothing was done: see [Skipped]
		case Baseline:
			if m.Done && (baseline == nil || baseline.Verified) {
				baseline = &m
			}
		case FaultStart:
			if !m.Done {
				at[m.Step] = len(all)
				all = append(all, Fault{Step: m.Step, Name: string(e.F), Targets: m.Targets, Asked: m.Asked,
					Start: e.Time, Heal: Pending, Healed: Pending, Momentary: !m.Lasts, Kills: m.Kills, Exits: m.Exits, Wipes: m.Wipes, Rejoins: m.Rejoins, Fatal: m.Fatal})
				continue
			}
			f, err := started(all, at, e, m)
			if err != nil {
				return nil, nil, err
			}
			f.Targets, f.Asked, f.Measured, f.Verified, f.Error = m.Targets, m.Asked, m.Measured, m.Verified, m.Error
			if f.Momentary {
				f.Heal, f.Healed, f.HealVerified = e.Time, e.Time, m.Verified
			}
		case FaultHeal:
			f, err := started(all, at, e, m)
			if err != nil {
				return nil, nil, err
			}
			if !m.Done {
				f.Heal = e.Time
				continue
			}
			f.Healed, f.HealMeasured, f.HealVerified = e.Time, m.Measured, m.Verified
			if m.Error != "" {
				f.Error = m.Error
			}
		default:
			return nil, nil, fmt.Errorf("event %d: stage %q", e.Index, m.Stage)
		}
	}
	return all, baseline, nil
}

// Skip is a step that was not played, as its schedule lets it.
type Skip struct {
	Step int
	Name string
	Why  string
}

// Skipped lists the steps of a history that were not played. They are none of its [Faults].
func Skipped(events []Event) (all []Skip, err error) {
	for i := range events {
		e := &events[i]
		if e.Process != Nemesis {
			continue
		}
		m, err := ParseFaultEvent(e.Value)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Index, err)
		}
		if m.Stage == FaultSkip {
			all = append(all, Skip{m.Step, m.Asked, m.Error})
		}
	}
	return all, nil
}

func started(all []Fault, at map[int]int, e *Event, m FaultEvent) (*Fault, error) {
	i, ok := at[m.Step]
	if !ok {
		return nil, fmt.Errorf("event %d: %s of step %d, which never started", e.Index, m.Stage, m.Step)
	}
	return &all[i], nil
}
