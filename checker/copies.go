package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"faultline/workloads/history"
)

// Copies is the checker of what each server holds at the end. It is for workloads that write and delete
// single keys, and read them at the end.
func Copies() Checker {
	return PerDatacenter(Checker{
		Name: "copies",
		Doc:  "After the final reads, what every server holds itself becomes what they found, in time.",
		Needs: func(run *Run) string {
			switch s := run.Settings; s.OwnCopy {
			case "":
				return "no server was asked for its own copy: the system has no reads of it, or the run is from before they were made"
			case s.Mode:
				return "the final reads were answered from copies, so they do not say what the servers agreed on"
			}
			return ""
		},
		Check: checkCopies,
	})
}

// copyAnswer is the last answer of a server about its copy of a key.
type copyAnswer struct {
	at    int64
	value string // JSON
	index uint64 // modify index; 0 if the key is absent, or the system tells none
}

// checkCopies compares the last answer of each server about its own copy of a key with the final read of that
// key. Nothing changes keys any more, so a server whose copy is another one did not apply what the
// others did, which clients learn only when it leads:
//
//	client    write 1 ok                             final read: 1
//	server 3               (does not apply it)                      copy: absent, still so when the bound is over
//
// One thing may yet happen: an operation whose fate nobody knows takes effect after the final read. A copy
// that may show one of those is no violation. It certainly shows something newer if its index says so; if nothing
// tells, the key is undecided. Where the final read itself was older than an
// acknowledged write, that is for other checkers to judge, and not held against a copy that has it.
func checkCopies(_ context.Context, run *Run) Result {
	spans, ended, _, err := phases(run)
	if err != nil {
		return Result{Verdict: Unknown, Summary: err.Error()}
	}
	from := int64(math.MaxInt64)
	for _, p := range spans {
		if p.name == history.PhaseFinal {
			from = p.from
		}
	}
	c := copies{run: run, finals: finalValues(run, from), byKey: map[string][]*history.Operation{}, last: lastCopies(run)}
	for i := range run.Ops {
		c.byKey[run.Ops[i].Key] = append(c.byKey[run.Ops[i].Key], &run.Ops[i])
	}
	servers := run.Topology.Servers()
	for _, n := range servers {
		c.judge(n.Name)
	}
	r := Result{Verdict: Valid, Metrics: []Metric{{Name: "servers", Value: float64(len(servers))}, {Name: "keys", Value: float64(len(c.finals))},
		{"slowest copy to agree", float64(c.slowest) / 1e6, "ms"}}}
	excuses := excuse(run)
	switch {
	case len(c.wrong) > 0 && len(excuses) == 0:
		r.Verdict = Invalid
	case len(c.wrong) > 0:
		c.unsure = append(c.unsure, excuses...)
		r.Verdict = Unknown
	case len(c.unsure) > 0:
		r.Verdict = Unknown
	case len(c.finals) == 0:
		r.Verdict, r.Reasons = Unknown, []string{"no key was read at the end, so there is nothing to compare copies with"}
	}
	if !ended {
		r.Verdict = Worst(r.Verdict, Unknown)
		c.unsure = append(c.unsure, cutOff)
	}
	r.Reasons = capped(append(append(r.Reasons, c.wrong...), c.unsure...))
	r.Summary = fmt.Sprintf("the copies of %s were the same as the final reads of %s", plural(len(servers), "server"), plural(len(c.finals), "key"))
	if len(r.Reasons) > 0 {
		r.Summary = r.Reasons[0]
	}
	return r
}

// finalValues are the final reads that were answered, by key.
func finalValues(run *Run, from int64) map[string]*history.Operation {
	strange := foreignWrites(run)
	finals := map[string]*history.Operation{}
	for i := range run.Ops {
		op := &run.Ops[i]
		if op.Invoke >= from && op.F == history.OpRead && op.Type == history.OK && strange[op.Key] == "" {
			finals[op.Key] = op
		}
	}
	return finals
}

// lastCopies are the last answers, by server and key.
func lastCopies(run *Run) map[string]map[string]copyAnswer {
	last := map[string]map[string]copyAnswer{}
	for i := range run.Events {
		e := &run.Events[i]
		if e.Process != history.Observer || e.F != history.FCopy || e.Error != "" {
			continue
		}
		if last[e.Node] == nil {
			last[e.Node] = map[string]copyAnswer{}
		}
		last[e.Node][e.Key] = copyAnswer{e.Time, string(e.Value), e.ModifyIndex}
	}
	return last
}

// copies is what checkCopies works on.
type copies struct {
	run     *Run
	finals  map[string]*history.Operation
	byKey   map[string][]*history.Operation
	last    map[string]map[string]copyAnswer
	slowest int64    // copy that agreed, nanoseconds after its final read
	wrong   []string // what a server held to the end, a sentence each
	unsure  []string
}

// judge compares the copy of one server.
func (c *copies) judge(node string) {
	unasked, wrong, early, open := someKeys{}, someKeys{}, someKeys{}, someKeys{}
	limit := int64(c.run.Settings.RecoverWithin)
	for key, final := range c.finals {
		held, ok := c.last[node][key]
		switch {
		case !ok:
			unasked.add(key, final)
		case held.value == string(final.Output):
			c.slowest = max(c.slowest, held.at-final.Return)
		default:
			switch c.fate(final, held) {
			case otherwise:
				if limit > 0 && held.at-final.Return >= limit {
					wrong.add(key, final)
				} else {
					early.add(key, final)
				}
			case undecidable:
				open.add(key, final)
			}
		}
	}
	of := plural(len(c.finals), "key")
	if wrong.n > 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("%s held %d of %s otherwise than the final reads to the end; allowed are %s. %s",
			node, wrong.n, of, ms(limit), c.describe(node, wrong)))
	}
	if early.n > 0 {
		c.unsure = append(c.unsure, fmt.Sprintf("%s held %d of %s otherwise than the final reads when it was last asked, before its time was over. %s",
			node, early.n, of, c.describe(node, early)))
	}
	if open.n > 0 {
		c.unsure = append(c.unsure, fmt.Sprintf("%s held %d of %s otherwise than the final reads, as an operation of unknown fate may have left them. %s",
			node, open.n, of, c.describe(node, open)))
	}
	if unasked.n > 0 {
		c.unsure = append(c.unsure, fmt.Sprintf("%s never told its copy of %d of %s, for one of key %q", node, unasked.n, of, unasked.key))
	}
}

// someKeys is a number of keys, of which it remembers the one whose final read came first.
type someKeys struct {
	n   int
	key string
	at  int64
}

func (s *someKeys) add(key string, final *history.Operation) {
	if s.n++; s.n == 1 || final.Return < s.at || final.Return == s.at && key < s.key {
		s.key, s.at = key, final.Return
	}
}

func (c *copies) describe(node string, of someKeys) string {
	held, final := c.last[node][of.key], c.finals[of.key]
	return fmt.Sprintf("For one, key %q: it held %s (index %d) at %s, and a read of %s at %s had found %s (index %d)",
		of.key, excerpt(json.RawMessage(held.value)), held.index, clock(held.at), final.Node, clock(final.Return), excerpt(final.Output), final.ModifyIndex)
}

// copyFate is what follows from a copy that is not what the final read found.
type copyFate int

const (
	otherwise   copyFate = iota // no operation can have left it so
	newer                       // it has what took effect later
	undecidable                 // nobody knows whether it has
)

// fate judges a copy of a key that is not what the final read found.
func (c *copies) fate(final *history.Operation, held copyAnswer) copyFate {
	indexed := held.index > 0 && final.ModifyIndex > 0
	if indexed && held.index <= final.ModifyIndex {
		return otherwise
	}
	for _, op := range c.byKey[final.Key] {
		value, changes := leaves(op)
		switch {
		case !changes || op.Type == history.Fail || value != "" && value != held.value:
		case indexed:
			return newer
		case op.Type == history.Info:
			return undecidable
		}
	}
	return otherwise
}

// leaves is what an operation leaves in its key if it takes effect; empty: nobody knows.
func leaves(op *history.Operation) (value string, changes bool) {
	switch op.F {
	case history.OpRead, history.OpList, history.OpWatch:
		return "", false
	case history.OpWrite:
		return string(op.Input), true
	case history.OpDelete, history.OpDeleteCAS:
		return string(history.Null), true
	case history.OpCAS:
		var pair [2]json.RawMessage
		if err := json.Unmarshal(op.Input, &pair); err == nil {
			return string(pair[1]), true
		}
	}
	return "", true
}
