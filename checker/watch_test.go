package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// watchOps is a history drawn by hand, a line an operation, with times in milliseconds, the index after @:
//
//	write 1-2 7 @20            an acknowledged write; "write 1-2 7 fail" and "write 1 7 info" are others
//	delete 3-4 @21
//	read 5-6 7 @20             "read 5-6 nil" finds nothing
//	watch 5-9 20/100 7 @20 22  from index 20 on, for at most 100 ms; the answer goes on from 22
//
// A letter after the verb is the key (write/b), k if there is none; all nodes are s1.
func watchOps(t testing.TB, lines ...string) (ops []history.Operation) {
	t.Helper()
	for i, line := range lines {
		op := history.Operation{ID: int64(i), Process: history.Process(i), Key: "k", Node: "s1", Type: history.OK, Return: history.Pending}
		words := strings.Fields(line)
		verb, key, found := strings.Cut(words[0], "/")
		if found {
			op.Key = key
		}
		op.F = history.Op(verb)
		from, to, ends := strings.Cut(words[1], "-")
		op.Invoke = number[int64](t, from) * 1e6
		if ends {
			op.Return = number[int64](t, to) * 1e6
		}
		words = words[2:]
		if op.F == history.OpWatch {
			since, wait, _ := strings.Cut(words[0], "/")
			op.Input = encode(history.WatchArgument{Since: number[uint64](t, since), WaitMS: number[int64](t, wait)})
			words = words[1:]
		}
		if op.F != history.OpDelete {
			op.Output = encodeFound(words[0])
			words = words[1:]
		}
		if op.F == history.OpWrite {
			op.Input = op.Output
		}
		for _, w := range words {
			switch {
			case w == "info" || w == "fail":
				op.Type, op.Error = history.Type(w), history.Timeout
			case w[0] == '@':
				op.ModifyIndex = number[uint64](t, w[1:])
			default:
				op.Output = encode(history.WatchResult{Value: op.Output, ModifyIndex: op.ModifyIndex, Next: number[uint64](t, w)})
			}
		}
		ops = append(ops, op)
	}
	slices.SortStableFunc(ops, func(a, b history.Operation) int { return int(a.Invoke - b.Invoke) })
	return ops
}

func number[T int64 | uint64](t testing.TB, text string) (n T) {
	t.Helper()
	_, err := fmt.Sscan(text, &n)
	require.NoError(t, err, text)
	return n
}

func encodeFound(word string) []byte {
	if word == "nil" {
		return history.Null
	}
	return []byte(word)
}

// watched is a run of these operations, on key k, beside enough watches of another that saw changes.
func watched(t testing.TB, lines ...string) *Run {
	t.Helper()
	for i := range leastWoken {
		at := 100_000 + 10*i
		lines = append(lines, fmt.Sprintf("write/z %d-%d %d @%d", at, at+1, 1000+i, 1000+i),
			fmt.Sprintf("watch/z %d-%d %d/100 %d @%d %d", at-2, at+2, 999+i, 1000+i, 1000+i, 1000+i))
	}
	return &Run{Settings: Settings{Workload: "watch", RecoverWithin: 10 * time.Second}, Ops: watchOps(t, lines...)}
}

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		name    string
		lines   []string
		verdict Verdict
		says    string
	}{
		{"one that wakes", []string{"write 1-2 7 @20", "watch 3-9 20/100 8 @21 21", "write 5-6 8 @21"}, Valid, "10 more"},
		{"one that waits in vain", []string{"write 1-2 7 @20", "watch 3-104 20/100 7 @20 20"}, Valid, ""},
		{"one that sees its change before the writer is told", []string{"write 1-2 7 @20", "watch 3-6 20/100 8 @21 21", "write 5-9 8 @21"}, Valid, ""},
		{"one that leaves a change out", []string{"write 1-2 7 @20", "write 3-4 8 @21", "write 5-6 9 @22", "watch 7-8 20/100 9 @22 22"}, Valid, ""},
		{"an index of the whole store", []string{"write 1-2 7 @20", "watch 3-4 0/100 7 @20 25", "write 5-6 8 @26", "watch 7-8 25/100 8 @26 26"}, Valid, ""},
		{"the index of a write that is not told", []string{"write 1-2 7 info", "write 3-4 8", "watch 5-6 0/100 8 @22 22"}, Valid, ""},

		{"a change that is skipped", []string{"write 1-2 6 @10", "write 3-4 7 @20", "watch 3-5 10/100 6 @10 25"}, Invalid, "never learns of the change of index 20"},
		{"a change that is skipped, and answered later", []string{"write 1-2 6 @10", "watch 3-5 10/100 6 @10 25", "write 4-9 7 @20"}, Invalid, "never learns of the change of index 20"},
		{"a change of the index itself", []string{"write 1-2 6 @10", "watch 3-5 10/100 6 @10 20", "write 4-9 7 @20"}, Invalid, "never learns of the change of index 20"},
		{"a change right after the index", []string{"write 1-2 6 @10", "watch 3-5 10/100 6 @10 19", "write 4-9 7 @20"}, Valid, ""},
		{"a change that another saw is skipped", []string{"write 1-2 6 @10", "write 3 7 info", "watch 3-5 10/100 6 @10 25", "read 6-7 7 @20"}, Invalid, "index 20, which the answer to a read"},
		{"a write without its index is skipped", []string{"write 1-2 6 @10", "write 3-4 7", "watch 3-5 10/100 6 @10 25", "read 6-7 7 @20"}, Invalid, "index 20"},
		{"a deletion that is skipped", []string{"write 1-2 6 @10", "delete 3-4 @20", "watch 3-5 10/100 6 @10 25"}, Invalid, "the change of index 20, which the answer to a delete"},
		{"absent, and never deleted", []string{"write 1-2 6 @10", "watch 1-5 5/100 nil 25"}, Invalid, "that the key is absent"},
		{"absent, after its deletion", []string{"write 1-2 6 @10", "delete 3-4 @20", "watch 1-5 5/100 nil 25"}, Valid, ""},
		{"absent, and written after the index", []string{"write 1-4 6 @30", "watch 1-5 5/100 nil 25"}, Valid, ""},
		{"absent, and perhaps deleted", []string{"write 1-2 6 @10", "delete 3 info", "watch 1-5 5/100 nil 25"}, Valid, ""},
		{"absent, and a deletion failed", []string{"write 1-2 6 @10", "delete 3-4 fail", "watch 1-5 5/100 nil 25"}, Invalid, "that the key is absent"},
		{"absent, and only deleted later", []string{"write 1-2 6 @10", "watch 1-5 5/100 nil 25", "delete 7 info"}, Invalid, "that the key is absent"},
		{"absent, and deleted before it was written", []string{"delete 1-2 @9", "write 1-2 6 @10", "watch 1-5 5/100 nil 25"}, Invalid, "that the key is absent"},
		{"a deletion of what is absent, with the index of that request", []string{"watch 1-2 0/100 nil 5", "delete 3-4 @9", "watch 5-6 5/100 nil 5", "write 7-8 1 @10"}, Valid, ""},

		{"an index that goes back", []string{"write 1-2 6 @10", "watch 3-4 0/100 6 @10 25", "watch 5-6 0/100 6 @10 24"}, Invalid, "the index went back"},
		{"two at a time", []string{"write 1-2 6 @10", "watch 3-5 0/100 6 @10 25", "watch 4-6 0/100 6 @10 24"}, Valid, ""},
		{"an index below what was asked for", []string{"write 1-2 6 @10", "watch 3-4 11/100 6 @10 10"}, Invalid, "the index went back"},
		{"absent with an index below a change", []string{"write 1-2 6 @10", "delete 1-2 @12", "watch 3-4 0/100 nil 9"}, Invalid, "told of a change of index 10"},

		{"old", []string{"write 1-2 6 @10", "write 3-4 7 @11", "watch 5-6 9/100 6 @10 10"}, Invalid, "what it shows is old"},
		{"sent before the answer", []string{"write 1-2 6 @10", "write 3-5 7 @11", "watch 4-6 9/100 6 @10 10"}, Valid, ""},
		{"old, of what a read saw", []string{"write 1-2 6 @10", "write 3 7 info", "read 3-4 7 @11", "watch 5-6 9/100 6 @10 10"}, Invalid, "what it shows is old"},
		{"an old read", []string{"write 1-2 6 @10", "write 3-4 7 @11", "read 5-6 6 @10"}, Invalid, "what it shows is old"},
		{"deleted before it was sent", []string{"write 1-2 6 @10", "delete 3-4 @11", "watch 5-6 9/100 6 @10 10"}, Invalid, "what it shows is old"},
		{"deleted, and written since", []string{"write 1-2 6 @10", "delete 3-4 @11", "write 5 7 info", "watch 5-6 9/100 7 @12 12"}, Valid, ""},
		{"lost", []string{"write 1-2 6 @10", "read 3-4 nil"}, Invalid, "or that is lost"},
		{"lost, after an older deletion", []string{"delete 1-2 @9", "write 1-2 6 @10", "read 3-4 nil"}, Invalid, "or that is lost"},
		{"lost, while another writes", []string{"write 1-2 6 @10", "write 3-9 7 @11", "read 4-5 nil"}, Invalid, "or that is lost"},
		{"deleted", []string{"write 1-2 6 @10", "delete 2-5 @11", "read 3-4 nil"}, Valid, ""},
		{"only deleted later", []string{"write 1-2 6 @10", "read 3-4 nil", "delete 5-6 @11"}, Invalid, "or that is lost"},
		{"not written yet", []string{"read 1-4 nil", "write 1-2 6 @10"}, Valid, ""},

		{"of a write that failed", []string{"write 1-2 6 fail", "watch 3-4 0/100 6 @10 10"}, Invalid, "had certainly failed (timeout)"},
		{"from the future", []string{"watch 3-4 0/100 6 @10 10", "write 5-6 6 @10"}, Invalid, "only asked for at"},
		{"of another key", []string{"write/b 1-2 6 @10", "watch 3-4 0/100 6 @10 10"}, Invalid, "which was written to b"},
		{"two values of one index", []string{"write 1-2 6 @10", "write 1-2 7 @11", "watch 3-9 0/100 6 @10 10", "watch 4-8 0/100 7 @10 10"}, Invalid, "index 10 stands for 6"},
		{"of nobody", []string{"watch 3-4 0/100 6 @10 10"}, Unknown, "somebody else wrote here"},
		{"a text", []string{`watch 3-4 0/100 "x"`}, Unknown, "somebody else wrote here"},
		{"no watch", []string{"lock 1-2 6 @10"}, Unknown, `watched keys have no "lock"`},
		{"one value twice", []string{"write 1-2 6 @10", "write 3-4 6 @11"}, Unknown, "both write 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkWatch(context.Background(), watched(t, c.lines...))
			require.Equal(t, c.verdict, r.Verdict, "%s", r.Summary)
			if c.verdict != Valid {
				require.Contains(t, r.Summary, c.says)
			}
			require.Equal(t, c.verdict == Invalid, len(r.Counterexamples) > 0)
		})
	}
}

func TestWatchNeedsChanges(t *testing.T) {
	run := watched(t)
	require.Equal(t, Valid, checkWatch(context.Background(), run).Verdict)
	run.Ops = run.Ops[2:]
	r := checkWatch(context.Background(), run)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "watches that saw a change: 9")
}

// What may be stale may be old, but no change is skipped even so.
func TestStaleWatches(t *testing.T) {
	for _, c := range []struct {
		verdict Verdict
		lines   []string
	}{
		{Valid, []string{"write 1-2 6 @10", "write 3-4 7 @11", "watch 5-120 11/100 6 @10 10"}},
		{Invalid, []string{"write 1-2 6 @10", "write 3-4 7 @11", "watch 5-120 10/100 6 @10 12"}},
	} {
		run := watched(t, c.lines...)
		run.Settings.Mode = history.ModeStale
		for i := range run.Ops {
			run.Ops[i].Mode = history.ModeStale
		}
		r := checkWatch(context.Background(), run)
		require.Equal(t, c.verdict, r.Verdict, r.Summary)
	}
}

// sleepers is a run of three watches that sleep from 1 to 3 s although their key was changed at 1.1 s, while the
// node serves a read every so many milliseconds.
func sleepers(t testing.TB, change string, every int) *Run {
	lines := []string{"write 1-2 6 @10", change}
	for range leastLateWatches {
		lines = append(lines, "watch 1000-3000 10/2000 7 @11 11")
	}
	if strings.HasPrefix(change, "delete") {
		for i := range lines {
			lines[i] = strings.Replace(lines[i], "7 @11 11", "nil 11", 1)
		}
	}
	for at := 900; at < 3200; at += every {
		lines = append(lines, fmt.Sprintf("read/b %d-%d nil", at, at+5))
	}
	return watched(t, lines...)
}

func TestWatchesThatSleepOn(t *testing.T) {
	fault := func(start, healed time.Duration) func(*Run) {
		return func(run *Run) { run.Faults = []history.Fault{{Start: int64(start), Healed: int64(healed)}} }
	}
	terms := func(first, second uint64, at int) func(*Run) {
		return func(run *Run) {
			tp := &tape{}
			tp.observe(-5000, "s1", history.Observation{Term: first})
			run.Events = tp.observe(at, "s1", history.Observation{Term: second}).events
		}
	}
	for _, c := range []struct {
		name    string
		change  string
		every   int
		adapt   func(*Run)
		verdict Verdict
	}{
		{"all the time", "write 1050-1100 7 @11", 200, nil, Invalid},
		{"after a deletion", "delete 1050-1100 @11", 200, nil, Invalid},
		{"for less than the bound", "write 1950-2050 7 @11", 200, nil, Valid},
		{"from an index that was old as they were sent", "write 900-950 7 @11", 200, nil, Invalid},
		{"while their node serves nobody", "write 1050-1100 7 @11", 700, nil, Valid},
		{"without a bound", "write 1050-1100 7 @11", 200, func(run *Run) { run.Settings.RecoverWithin = 0 }, Valid},
		{"for less than a larger bound", "write 1050-1100 7 @11", 200, func(run *Run) { run.Settings.RecoverWithin = 20 * time.Second }, Valid},
		{"during a fault", "write 1050-1100 7 @11", 200, fault(2900*time.Millisecond, 4*time.Second), Valid},
		{"after a fault that was just healed", "write 1050-1100 7 @11", 200, fault(100*time.Millisecond, 200*time.Millisecond), Valid},
		{"since shortly before the bound", "write 1900-1950 7 @11", 200, nil, Invalid},
		{"sent soon after a fault", "write 1900-1950 7 @11", 200, fault(900*time.Millisecond, 940*time.Millisecond), Valid},
		{"long after a fault", "write 1200-1250 7 @11", 200, fault(0, -50*time.Millisecond), Invalid},
		{"before a fault", "write 1050-1100 7 @11", 200, fault(3100*time.Millisecond, history.Pending), Invalid},
		{"after a new term", "write 1050-1100 7 @11", 200, terms(1, 2, 500), Valid},
		{"before a new term is seen", "write 1050-1100 7 @11", 200, terms(1, 2, 3100), Valid},
		{"long before a new term", "write 1050-1100 7 @11", 200, terms(1, 2, 9000), Invalid},
		{"in an old term", "write 1050-1100 7 @11", 200, terms(2, 1, 500), Invalid},
		{"two of them", "write 1050-1100 7 @11", 200, func(run *Run) {
			at := slices.IndexFunc(run.Ops, func(op history.Operation) bool { return op.F == history.OpWatch })
			run.Ops = slices.Delete(run.Ops, at, at+1)
		}, Valid},
		{"where answers may be stale", "write 1050-1100 7 @11", 200, func(run *Run) {
			for i := range run.Ops {
				if run.Ops[i].F == history.OpWatch {
					run.Ops[i].Mode = history.ModeStale
				}
			}
		}, Valid},
		{"while others get what is stale", "write 1050-1100 7 @11", 200, func(run *Run) {
			for i := range run.Ops {
				if run.Ops[i].F == history.OpRead {
					run.Ops[i].Mode = history.ModeStale
				}
			}
		}, Valid},
		{"while another node serves", "write 1050-1100 7 @11", 200, func(run *Run) {
			for i := range run.Ops {
				if run.Ops[i].F == history.OpRead {
					run.Ops[i].Node = "s2"
				}
			}
		}, Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := sleepers(t, c.change, c.every)
			if c.adapt != nil {
				c.adapt(run)
			}
			r := checkWatch(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			if c.verdict == Invalid {
				require.Contains(t, r.Summary, "after it was due")
				require.Contains(t, r.Summary, "allowed are 1000 ms (so late in this run: 3)")
			}
		})
	}
}

// Whether a watch is late depends on what was answered first, when it was sent, and what was there at its index.
func TestWhenAWatchIsDue(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []string
		watch   string
		verdict Verdict
	}{
		{"since the change that was answered first", []string{"write 900-2500 7 @11", "write 1050-1100 8 @12"}, "watch 1000-3000 10/2000 8 @12 12", Invalid},
		{"since it was sent", []string{"write 3-4 7 @11"}, "watch 2900-3000 10/2000 7 @11 11", Valid},
		{"of a deletion, at an index of the whole store", []string{"watch 5-6 0/10 6 @10 12", "delete 1050-1100 @13"}, "watch 1000-3000 12/2000 nil 13", Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := append([]string{"write 1-2 6 @10", c.watch, c.watch, c.watch}, c.changes...)
			for at := 10; at < 3200; at += 200 {
				lines = append(lines, fmt.Sprintf("read/b %d-%d nil", at, at+5))
			}
			r := checkWatch(context.Background(), watched(t, lines...))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
		})
	}
}

// Of a key that is absent a deletion changes nothing, so nobody wakes.
func TestADeletionOfNothingWakesNobody(t *testing.T) {
	run := sleepers(t, "delete 1050-1100 @11", 200)
	for i := range run.Ops {
		if run.Ops[i].F == history.OpWrite && run.Ops[i].Key == "k" {
			run.Ops[i].Key = "c"
		}
	}
	r := checkWatch(context.Background(), run)
	require.Equal(t, Valid, r.Verdict, r.Summary)
}

func TestWatchesThatDoNotWait(t *testing.T) {
	for _, c := range []struct {
		name              string
		early, late, took int
		faults            []history.Fault
		verdict           Verdict
	}{
		{"most", leastEarlyWatches, leastEarlyWatches - 1, 1, nil, Invalid},
		{"half", leastEarlyWatches, leastEarlyWatches, 1, nil, Valid},
		{"few", leastEarlyWatches - 1, 0, 1, nil, Valid},
		{"by a clock that is fast", leastEarlyWatches, 0, 51, nil, Valid},
		{"not even half of it", leastEarlyWatches, 0, 49, nil, Invalid},
		{"during a fault", leastEarlyWatches, 0, 1, []history.Fault{{Start: 0, Healed: history.Pending}}, Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := []string{"write 1-2 6 @10"}
			add := func(n, took int) {
				for range n {
					at := 10 + 200*len(lines)
					lines = append(lines, fmt.Sprintf("watch %d-%d 10/100 6 @10 10", at, at+took))
				}
			}
			add(c.early, c.took)
			add(c.late, 100)
			run := watched(t, lines...)
			run.Faults = c.faults
			r := checkWatch(context.Background(), run)
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			if c.verdict == Invalid {
				require.Contains(t, r.Summary, "had not waited for half of their time")
			}
		})
	}
}

func TestWakesAreMeasured(t *testing.T) {
	r := checkWatch(context.Background(), watched(t, "write 1-2 6 @10", "watch 3-30 10/100 7 @11 11", "write 4-10 7 @11",
		"watch 35-36 0/100 7 @11 11", "watch 40-41 10/100 7 @11 12", "watch 50-51 11/100 7 @11 13", "watch 60-161 13/100 7 @11 13", "watch 170-171 13/100 7 @11 13"))
	require.Equal(t, Valid, r.Verdict, r.Summary)
	figures := map[string]float64{}
	for _, m := range r.Metrics {
		figures[m.Name] = m.Value
	}
	require.EqualValues(t, leastWoken+2, figures["watches that saw a change"])
	require.EqualValues(t, 1, figures["watches that waited for nothing"])
	require.EqualValues(t, 1, figures["watches that returned early with nothing new"])
	require.EqualValues(t, 1, figures["watches that returned early with a new index and no change that is known"])
	require.EqualValues(t, 20, figures["wake after a change: longest"])
	require.EqualValues(t, leastWoken+6, figures["watches"])
}

// watchedStore makes histories of a correct store: each operation takes effect at one instant within its interval, and the
// answers to some are lost. A fault in it is what the checker has to find.
type watchedStore struct {
	random *rand.Rand
	index  uint64 // of the store's last change
	value  int64  // of the key; 0: absent
	modify uint64
	last   int64 // that was given out
	own    bool  // the index of an answer is the key's, and not the store's
}

func (s *watchedStore) history(n int, spoil func(*history.Operation)) (ops []history.Operation) {
	type effect struct {
		at int64
		op *history.Operation
	}
	var order []effect
	for i := range n {
		op := &history.Operation{ID: int64(i), Process: history.Process(i), Key: "k", Node: "s1", Type: history.OK, Invoke: int64(s.random.IntN(10*n)) * 1e6}
		op.Return = op.Invoke + int64(1+s.random.IntN(40))*1e6
		op.F = []history.Op{history.OpWrite, history.OpCAS, history.OpDelete, history.OpRead, history.OpWatch, history.OpWatch}[s.random.IntN(6)]
		order = append(order, effect{op.Invoke + s.random.Int64N(op.Return-op.Invoke), op})
	}
	slices.SortFunc(order, func(a, b effect) int { return int(a.at - b.at) })
	for _, e := range order {
		s.take(e.op)
		if s.random.IntN(8) == 0 && !e.op.F.Reads() {
			e.op.Type, e.op.Return, e.op.ModifyIndex = history.Info, history.Pending, 0
		}
		spoil(e.op)
		ops = append(ops, *e.op)
	}
	slices.SortStableFunc(ops, func(a, b history.Operation) int { return int(a.Invoke - b.Invoke) })
	return ops
}

// take has an operation take effect now. Other keys of the store change too.
func (s *watchedStore) take(op *history.Operation) {
	s.index += uint64(s.random.IntN(2))
	value, absent := history.Int(s.value), s.value == 0
	if absent {
		value = history.Null
	}
	switch op.F {
	case history.OpDelete:
		op.ModifyIndex = s.index + 1
		if s.index++; !absent {
			s.value, s.modify = 0, s.index
		}
	case history.OpRead:
		if op.Output = value; !absent {
			op.ModifyIndex = s.modify
		}
	case history.OpWatch:
		next, modify := s.index, uint64(0)
		if !absent {
			modify = s.modify
			if s.own {
				next = modify
			}
		}
		op.Input = encode(history.WatchArgument{Since: uint64(s.random.Int64N(int64(next) + 1)), WaitMS: 1})
		op.Output = encode(history.WatchResult{Value: value, ModifyIndex: modify, Next: next})
	default:
		s.last++
		s.index++
		op.Input = history.Int(s.last)
		if op.F == history.OpCAS {
			op.Input = history.Pair(nil, s.last)
		}
		s.value, s.modify, op.ModifyIndex = s.last, s.index, s.index
	}
}

func TestACorrectStoreIsNeverAccused(t *testing.T) {
	for seed := range seedsOf(t, 3000, 300) {
		s := &watchedStore{random: rand.New(rand.NewPCG(seed, 0)), own: seed%2 == 0}
		run := &Run{Settings: Settings{Workload: "watch", RecoverWithin: time.Minute}, Ops: s.history(3+int(seed%60), func(*history.Operation) {})}
		r := checkWatch(context.Background(), run)
		require.NotEqual(t, Invalid, r.Verdict, "seed %d: %s", seed, r.Summary)
	}
}

// A store that answers with what it held some changes ago is found, as is one whose index is ahead of its state.
func TestABrokenStoreIsFound(t *testing.T) {
	for name, spoil := range map[string]func(s *watchedStore, before []byte, op *history.Operation){
		"old answers": func(_ *watchedStore, before []byte, op *history.Operation) { op.Output = before },
		"an index that is ahead": func(s *watchedStore, before []byte, op *history.Operation) {
			op.Output = []byte(strings.Replace(string(before), `"next":`, fmt.Sprintf(`"next":%d,"was":`, s.index), 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := 0
			for seed := range uint64(50) {
				s := &watchedStore{random: rand.New(rand.NewPCG(seed, 1))}
				var before [][]byte
				ops := s.history(200, func(op *history.Operation) {
					if op.F != history.OpWatch {
						return
					}
					before = append(before, op.Output)
					if len(before) > 10 && s.random.IntN(10) == 0 {
						spoil(s, before[len(before)-10], op)
					}
				})
				if checkWatch(context.Background(), &Run{Settings: Settings{Workload: "watch"}, Ops: ops}).Verdict == Invalid {
					found++
				}
			}
			require.Greater(t, found, 45)
		})
	}
}
