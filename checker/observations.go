package checker

import (
	"encoding/json"
	"fmt"

	"faultline/workloads/history"
)

// observation is an Observation and where it was made.
type observation struct {
	history.Observation
	node string
	at   int64 // when the answer was there
}

// observations are what nodes said of themselves, in the order of the history.
func observations(run *Run) (all []observation, err error) {
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FObserve {
			continue
		}
		o := observation{node: e.Node, at: e.Time}
		if err := json.Unmarshal(e.Value, &o.Observation); err != nil {
			return nil, fmt.Errorf("event %d: an observation that cannot be read: %w", e.Index, err)
		}
		all = append(all, o)
	}
	return all, nil
}
