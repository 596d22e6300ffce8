package report

import (
	"faultline/checker"
	"faultline/workloads/history"
)

// maxDetailed bounds the operations that the page carries one by one, and so its size:
// about 35 bytes each.
const maxDetailed = 30_000

// detail is what the page's script needs in order to zoom and to show what lies under the
// pointer. Operations are columns of equal length, in the order of their invokes; names
// are positions in a list. Without the script the page lacks nothing but this.
type detail struct {
	End    int64           `json:"end"` // µs
	Lanes  map[string]lane `json:"lanes"`
	Nodes  []string        `json:"nodes"`
	Kinds  []string        `json:"kinds"`
	Keys   []string        `json:"keys"`
	Errors []string        `json:"errors"`
	Modes  []string        `json:"modes"`

	Sent     []int64  `json:"sent"` // µs since the operation before
	Took     []int64  `json:"took"` // µs; of an info, until it was given up; -1 if even that is unknown
	Process  []int64  `json:"process"`
	Type     []int    `json:"type"` // 0 ok, 1 fail, 2 info
	Node     []int    `json:"node"`
	Kind     []int    `json:"kind"`
	Key      []int    `json:"key"`
	Error    []int    `json:"error"`
	Mode     []int    `json:"mode"`
	Argument []string `json:"argument"`
	Every    sampling `json:"-"`

	Width   int64        `json:"width"` // of a bucket, µs
	Buckets [][3]int     `json:"buckets"`
	Faults  []detailSpan `json:"faults"`
	Leaders []detailSpan `json:"leaders"`
}

// detailSpan is a named time, in µs.
type detailSpan struct {
	Name string `json:"name"`
	From int64  `json:"from"`
	Till int64  `json:"till"`
}

var typeCodes = map[history.Type]int{history.OK: 0, history.Fail: 1, history.Info: 2}

func detailOf(d Data, lanes map[string]lane, leaders []stateSpan, buckets []bucket, width int64) detail {
	run, end := d.run(), extent(d)
	out := detail{End: end / 1000, Lanes: lanes, Width: width / 1000, Every: sampling{1, 1}}
	gaveUp := infos(run.Events)
	ops := run.Ops
	if len(ops) > maxDetailed {
		ops, out.Every = thin(ops, counterexampleOps(d.Results))
	}
	var names, kinds, keys, errs, modes index
	last := int64(0)
	for _, op := range ops {
		at := op.Invoke / 1000
		out.Sent, last = append(out.Sent, at-last), at
		out.Took = append(out.Took, took(op, gaveUp))
		out.Process = append(out.Process, int64(op.Process))
		out.Type = append(out.Type, typeCodes[op.Type])
		out.Node = append(out.Node, names.of(op.Node))
		out.Kind = append(out.Kind, kinds.of(string(op.F)))
		out.Key = append(out.Key, keys.of(op.Key))
		out.Error = append(out.Error, errs.of(string(op.Error)))
		out.Mode = append(out.Mode, modes.of(string(op.Mode)))
		out.Argument = append(out.Argument, shorten(argument(op), 24))
	}
	out.Nodes, out.Kinds, out.Keys, out.Errors, out.Modes = names.list, kinds.list, keys.list, errs.list, modes.list
	for _, b := range buckets {
		out.Buckets = append(out.Buckets, [3]int{b.OK, b.Fail, b.Info})
	}
	for _, f := range run.Faults {
		out.Faults = append(out.Faults, detailSpan{faultLabel(f), f.Start / 1000, over(f, end) / 1000})
	}
	for _, s := range leaders {
		out.Leaders = append(out.Leaders, detailSpan{s.Node, s.From / 1000, s.Till / 1000})
	}
	return out
}

// infos returns when each process that got an info got it. It never acts again, so there
// is at most one.
func infos(events []history.Event) map[history.Process]int64 {
	at := map[history.Process]int64{}
	for _, e := range events {
		if e.Process >= 0 && e.Type == history.Info {
			at[e.Process] = e.Time
		}
	}
	return at
}

func took(op history.Operation, gaveUp map[history.Process]int64) int64 {
	end := op.Return
	if end == history.Pending {
		given, ok := gaveUp[op.Process]
		if !ok || given < op.Invoke {
			return -1
		}
		end = given
	}
	return (end - op.Invoke) / 1000
}

// thin keeps evenly some of the ok operations and some of the others, so that neither
// has more than its half of what the page can carry, and all of the counterexamples.
func thin(ops []history.Operation, keep map[sent]bool) (kept []history.Operation, every sampling) {
	t := tallyOf(ops)
	const half = maxDetailed / 2
	every = sampling{OK: 1 + t.OK/half, Rest: 1 + (t.Fail+t.Info)/half}
	var ok, rest int
	for _, op := range ops {
		nth, of := &rest, every.Rest
		if op.Type == history.OK {
			nth, of = &ok, every.OK
		}
		if *nth%of == 0 || keep[sent{op.Process, op.Invoke}] {
			kept = append(kept, op)
		}
		*nth++
	}
	return kept, every
}

// sampling says that one in so many operations is kept.
type sampling struct{ OK, Rest int }

// sent names an operation: no process sends two at once.
type sent struct {
	process history.Process
	at      int64
}

func counterexampleOps(results []checker.Result) map[sent]bool {
	all := map[sent]bool{}
	for _, r := range results {
		for _, c := range r.Counterexamples {
			for _, op := range c.Ops {
				all[sent{op.Process, op.Invoke}] = true
			}
		}
	}
	return all
}

// index numbers names in the order in which they come.
type index struct {
	at   map[string]int
	list []string
}

func (x *index) of(name string) int {
	if x.at == nil {
		x.at = map[string]int{}
	}
	i, ok := x.at[name]
	if !ok {
		i = len(x.list)
		x.at[name], x.list = i, append(x.list, name)
	}
	return i
}
