package checker

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"faultline/workloads/history"
)

// load is what clients do to registers that are correct: so many at a time on each key, each of whom
// asks, waits for its answer, and asks again.
type load struct {
	keys, perKey, clients int
	lost                  int  // of a hundred changes, are not answered; half of them happen
	opaque                bool // a refused compare hides what it found
	deletes               int  // of a hundred changes, delete
	values                int  // that are written; 0: none twice
	stale                 int  // of ten thousand reads, return the value before
}

// history of the load. A step is 100 µs; every operation takes effect at some step between
// its call and its return, which are some steps apart.
func (l load) history() []history.Operation {
	r := rand.New(rand.NewPCG(5, 5))
	ops := make([]history.Operation, 0, l.keys*l.perKey)
	next, process := int64(0), history.Process(0)
	for k := range l.keys {
		key := fmt.Sprintf("k%d", k)
		type client struct {
			op      history.Operation
			takesAt int64
			process history.Process
		}
		clients := make([]client, l.clients)
		last := make([]string, l.clients) // what each client saw last
		for i := range clients {
			process++
			clients[i].process, last[i] = process, "null"
			l.ask(r, &clients[i].op, &clients[i].takesAt, 0, last[i], &next)
		}
		state, before := "null", "null"
		for done := 0; done < l.perKey; done++ {
			i := 0
			for j := range clients {
				if clients[j].takesAt < clients[i].takesAt {
					i = j
				}
			}
			c := &clients[i]
			op := &c.op
			op.Key, op.Process, op.Node = key, c.process, fmt.Sprintf("s%d", i%3+1)
			lost := op.F != "read" && r.IntN(100) < l.lost
			if was := state; !lost || r.IntN(2) == 0 {
				state = l.apply(r, op, state, before)
				if was != state {
					before = was
				}
			}
			last[i] = state
			now := c.takesAt
			if lost {
				*op = history.Operation{F: op.F, Key: key, Input: op.Input, Invoke: op.Invoke, Process: op.Process, Node: op.Node,
					Type: history.Info, Error: "timeout", Return: history.Pending}
				process++
				c.process = process
				now += 30_000_000
			} else {
				now += 1 + r.Int64N(1_000_000)
				op.Return = now
			}
			ops = append(ops, *op)
			l.ask(r, &c.op, &c.takesAt, now, last[i], &next)
		}
	}
	slices.SortStableFunc(ops, func(a, b history.Operation) int { return cmp.Compare(a.Invoke, b.Invoke) })
	for i := range ops {
		ops[i].ID = int64(i)
	}
	return ops
}

// ask draws the next operation of a client.
func (l load) ask(r *rand.Rand, op *history.Operation, takesAt *int64, now int64, saw string, next *int64) {
	now += 1 + r.Int64N(100_000)
	*op = history.Operation{Type: history.OK, Mode: "default", Invoke: now}
	*takesAt = now + 1 + r.Int64N(1_000_000)
	value := func() string {
		*next++
		if l.values > 0 {
			return fmt.Sprint(r.IntN(l.values))
		}
		return fmt.Sprint(*next)
	}
	deletes := r.IntN(100) < l.deletes
	switch kind := r.IntN(10); {
	case kind < 5:
		op.F = "read"
	case kind < 8 && deletes:
		op.F = "delete"
	case kind < 8:
		op.F, op.Input = "write", []byte(value())
	case deletes && saw != "null":
		op.F, op.Input = "delete-cas", []byte("["+saw+",null]")
	default:
		op.F, op.Input = "cas", []byte("["+saw+","+value()+"]")
	}
}

// apply lets an operation take effect, and returns the state after it.
func (l load) apply(r *rand.Rand, op *history.Operation, state, before string) string {
	switch op.F {
	case "read":
		op.Output = []byte(state)
		if r.IntN(10_000) < l.stale {
			op.Output = []byte(before)
		}
		return state
	case "write":
		return string(op.Input)
	case "delete":
		return "null"
	}
	pair := pairOf(*op)
	switch {
	case pair[0] == state:
		return pair[1]
	case op.F == "delete-cas" && state == "null":
		return state
	}
	op.Type, op.Error = history.Fail, history.CASMismatch
	if !l.opaque {
		op.Current = []byte(state)
	}
	return state
}
