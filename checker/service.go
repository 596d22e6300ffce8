package checker

import (
	"encoding/json"
	"slices"
	"time"

	"faultline/workloads/history"
)

// Requests are operations by where the data lie that they mean.
type Requests string

const (
	Forwarded Requests = "forwarded" // in another datacenter than the node that was asked
	Local     Requests = "local"     // in its own
)

// RequestsOf is where the data of an operation lie.
func (run *Run) RequestsOf(op *history.Operation) Requests {
	if n, ok := run.Topology.Node(op.Node); op.DC == "" || ok && n.DC == op.DC {
		return Local
	}
	return Forwarded
}

// Service is how clients were served: what they asked for before the final reads, without watches, which are meant to
// wait, and without what nobody saw end because the record does.
type Service struct {
	Asked  int
	Served int             // answers of the system as it should be; a compare that did not hold is one
	took   []int64         // each of Served, sorted
	Lost   []history.Fault // after which no change was served any more
	// Recovered is how long after the last heal a change was served that was asked for since; nil if no fault was healed or
	// none was.
	Recovered *time.Duration
}

// ServiceOf is how operations were served for which of reports true; all if it is nil.
func ServiceOf(run *Run, of func(*history.Operation) bool) (s Service) {
	final := finalReads(run)
	var ops []history.Operation
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.F == history.OpWatch || of != nil && !of(op) {
			continue
		}
		ops = append(ops, *op)
		if op.Invoke >= final || op.Return == history.Pending && op.Error == unanswered {
			continue
		}
		s.Asked++
		if served(op) {
			s.Served++
			s.took = append(s.took, op.Return-op.Invoke)
		}
	}
	slices.Sort(s.took)
	s.recovery(run, ops)
	return s
}

// EchoOf is how exchanges over TCP alone fared beside the system, until the final reads: those that took no longer than within are
// served. It is empty if the run has none.
func EchoOf(run *Run, within time.Duration) (s Service) {
	final := finalReads(run)
	for i := range run.Events {
		e := &run.Events[i]
		var seen history.Echo
		if e.Process != history.Observer || e.F != history.FEcho || e.Time >= final || json.Unmarshal(e.Value, &seen) != nil {
			continue
		}
		s.Asked += len(seen.Took) + seen.Lost
		for _, took := range seen.Took {
			if took <= within {
				s.Served++
				s.took = append(s.took, int64(took))
			}
		}
	}
	slices.Sort(s.took)
	return s
}

// finalReads is when those begin, after all that is measured of a run; Pending if they never do.
func finalReads(run *Run) int64 {
	spans, _, _, _ := phases(run) // what cannot be read of them is for the checker record
	if i := slices.IndexFunc(spans, func(p phaseSpan) bool { return p.name == history.PhaseFinal }); i >= 0 {
		return spans[i].from
	}
	return history.Pending
}

// unanswered is the error of an operation that is open when the record ends.
const unanswered history.Code = "unanswered"

func (s *Service) recovery(run *Run, ops []history.Operation) {
	last := int64(-1)
	for _, f := range run.Faults {
		if f.Healed == history.Pending {
			continue
		}
		at, ok := firstOK(ops, f.Healed, changes)
		if !ok {
			s.Lost = append(s.Lost, f)
		}
		if f.Healed >= last {
			last, s.Recovered = f.Healed, nil
			if ok {
				s.Recovered = new(time.Duration(at - f.Healed))
			}
		}
	}
}

// Success is the share of what was asked for that was served, with its 95 % interval.
func (s Service) Success() (share, low, high float64) {
	low, high = Wilson(s.Served, s.Asked)
	return float64(s.Served) / float64(max(1, s.Asked)), low, high
}

// Latency is a quantile of how long what was served took.
func (s Service) Latency(q float64) time.Duration { return quantile(s.took, q) }

// slower counts what took longer.
func (s Service) slower(than time.Duration) int {
	i, _ := slices.BinarySearch(s.took, int64(than)+1)
	return len(s.took) - i
}
