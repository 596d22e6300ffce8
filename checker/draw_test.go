package checker

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// draw reads a history drawn as a picture, a line an operation, a column a millisecond:
//
//	p0 write 1     |--|
//	p1 cas 1 2          |--|           succeeded
//	p2 cas 1 3              |--x       refused
//	p2 cas 1 3 (2)          |--x       refused, and it reported that it found 2
//	p3 write 4              |------    nobody knows whether it happened
//	p4 write 5              |--!       definitely failed
//	p6 delete                  |--|    and delete-cas 4, which is refused as a cas is
//	p5 read 4                  |--|    a read's value is what it returned; nil is absent
//
// The columns count from the left edge of the line's picture, so pictures have to stand
// below each other. Every operation is on key k, asked at node nP.
func draw(t testing.TB, picture string) []history.Operation {
	t.Helper()
	var ops []history.Operation
	for line := range strings.Lines(picture) {
		line = strings.TrimRight(line, "\n ")
		if strings.TrimSpace(line) == "" {
			continue
		}
		m := drawn.FindStringSubmatchIndex(line)
		require.NotNil(t, m, "cannot read %q", line)
		word := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return line[m[2*i]:m[2*i+1]]
		}
		p, err := strconv.Atoi(word(1))
		require.NoError(t, err)
		op := history.Operation{Process: history.Process(p), F: history.Op(word(2)), Key: "k", Node: fmt.Sprintf("n%d", p),
			Invoke: int64(m[12]) * 1e6, Type: history.OK, Return: int64(m[13]-1) * 1e6}
		switch word(6)[len(word(6))-1] {
		case '-':
			op.Type, op.Return, op.Error = history.Info, history.Pending, "timeout"
		case '!':
			op.Type, op.Error = history.Fail, "not-leader"
		case 'x':
			op.Type, op.Error = history.Fail, "cas-mismatch"
		}
		args := strings.Fields(word(3))
		switch op.F {
		case "read":
			op.Mode = "default"
			if op.Type == history.OK {
				op.Output = drawnValue(args[0])
			}
		case "write":
			op.Input = drawnValue(args[0])
		case "cas":
			op.Input = []byte(fmt.Sprintf("[%s,%s]", drawnValue(args[0]), args[1]))
			if found := word(5); found != "" {
				op.Current = drawnValue(found)
			}
		case "delete-cas":
			op.Input = []byte(fmt.Sprintf("[%s,null]", drawnValue(args[0])))
			if found := word(5); found != "" {
				op.Current = drawnValue(found)
			}
		}
		ops = append(ops, op)
	}
	sortByInvoke(ops)
	for i := range ops {
		ops[i].ID = int64(i)
	}
	return ops
}

var drawn = regexp.MustCompile(`^\s*p(\d+) (read|write|cas|delete|delete-cas)((?: (?:nil|-?\d+|\?))*)( \((nil|\d+)\))?\s+(\|-*[-|!x])\s*$`)

func drawnValue(word string) []byte {
	if word == "nil" {
		return history.Null
	}
	return []byte(word)
}

func sortByInvoke(ops []history.Operation) {
	for i := range ops { // insertion: stable, and they are nearly sorted
		for j := i; j > 0 && ops[j].Invoke < ops[j-1].Invoke; j-- {
			ops[j], ops[j-1] = ops[j-1], ops[j]
		}
	}
}

func constraintsOf(t testing.TB, ops []history.Operation) []constraint {
	t.Helper()
	var constraints []constraint
	for i := range ops {
		f, keep, err := toConstraint(&ops[i])
		require.NoError(t, err)
		if keep {
			constraints = append(constraints, f)
		}
	}
	return constraints
}

// registerRun is a run of the register workload with these operations and nothing else.
func registerRun(mode history.Mode, ops []history.Operation) *Run {
	return &Run{Settings: Settings{Workload: "register", Mode: mode, CheckTime: time.Minute}, Ops: ops}
}

// tape writes histories for the checkers that look at more than operations.
type tape struct {
	events []history.Event
	next   history.Process
}

func (tp *tape) add(ms int, e history.Event) *tape {
	e.Index, e.Time = int64(len(tp.events)), int64(ms)*1e6
	tp.events = append(tp.events, e)
	return tp
}

func (tp *tape) phase(ms int, p history.Phase) *tape {
	return tp.add(ms, history.Event{Process: history.Harness, Type: history.Info, F: history.FPhase,
		Value: []byte(strconv.Quote(string(p)))})
}

// op records an operation by a process of its own. It has to begin after all before it.
func (tp *tape) op(from, to int, f history.Op, end history.Type, code history.Code) *tape {
	p := tp.next
	tp.next++
	value := history.Int(int64(p) + 1)
	tp.add(from, history.Event{Process: p, Type: history.Invoke, F: f, Key: "k", Value: value, Node: "s1"})
	return tp.add(to, history.Event{Process: p, Type: end, F: f, Key: "k", Value: value, Node: "s1", Error: code})
}

func (tp *tape) ok(from, to int, f history.Op) *tape { return tp.op(from, to, f, history.OK, "") }

func (tp *tape) mark(ms int, name history.Op, mark string) *tape {
	return tp.add(ms, history.Event{Process: history.Nemesis, Type: history.Info, F: name, Value: []byte(mark)})
}

// begin and heal record a lasting fault that did and healed what it should.
func (tp *tape) begin(ms, step int) *tape {
	tp.mark(ms, "partition", fmt.Sprintf(`{"step":%d,"stage":"start","lasts":true,"targets":["s1"]}`, step))
	return tp.mark(ms, "partition", fmt.Sprintf(`{"step":%d,"stage":"start","done":true,"lasts":true,"targets":["s1"],"asked":"a cut","measured":"a cut","proved":true}`, step))
}

func (tp *tape) heal(ms, step int) *tape {
	tp.mark(ms, "partition", fmt.Sprintf(`{"step":%d,"stage":"heal","lasts":true}`, step))
	return tp.mark(ms, "partition", fmt.Sprintf(`{"step":%d,"stage":"heal","done":true,"lasts":true,"measured":"no cut","proved":true}`, step))
}

func (tp *tape) baseline(ms int) *tape {
	return tp.mark(ms, "baseline", `{"step":-1,"stage":"baseline","done":true,"proved":true}`)
}

func (tp *tape) observe(ms int, node string, o history.Observation) *tape {
	return tp.add(ms, history.Event{Process: history.Observer, Type: history.Info, F: history.FObserve, Node: node,
		Value: encode(o)})
}

// process adds a start, or an end with an exit code or a signal.
func (tp *tape) process(ms int, node string, e history.ProcessEvent) *tape {
	e.When = int64(ms) * 1e6
	value, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return tp.add(ms, history.Event{Process: history.Runtime, Type: history.Info, F: history.FProcess, Node: node, Value: value})
}

func (tp *tape) started(ms int, node string) *tape {
	return tp.process(ms, node, history.ProcessEvent{Kind: history.ProcessStarted})
}

func (tp *tape) exited(ms int, node string, code int) *tape {
	return tp.process(ms, node, history.ProcessEvent{Kind: history.ProcessEnded, Code: code})
}

func (tp *tape) killed(ms int, node string) *tape {
	return tp.process(ms, node, history.ProcessEvent{Kind: history.ProcessEnded, Signal: sigkill})
}

func (tp *tape) lost(ms int, how string) *tape {
	return tp.add(ms, history.Event{Process: history.Harness, Type: history.Info, F: history.FLost, Value: []byte(strconv.Quote(how))})
}

func (tp *tape) run(t testing.TB, s Settings) *Run {
	t.Helper()
	for i := 1; i < len(tp.events); i++ {
		require.LessOrEqual(t, tp.events[i-1].Time, tp.events[i].Time, "event %d is out of order", i)
	}
	ops, err := history.Operations(tp.events)
	require.NoError(t, err)
	faults, baseline, err := history.Faults(tp.events)
	require.NoError(t, err)
	return &Run{Settings: s, Events: tp.events, Ops: ops, Faults: faults, Baseline: baseline}
}
