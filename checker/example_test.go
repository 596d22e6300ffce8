package checker_test

import (
	"context"
	"fmt"
	"time"

	"faultline/checker"
	"faultline/workloads/history"
)

const ms = int64(time.Millisecond)

// staleRead is a history in which a write of 5 is acknowledged, and a later read returns 3.
func staleRead() *checker.Run {
	write := func(id, process, value, from, to int64) history.Operation {
		return history.Operation{ID: id, Process: history.Process(process), F: history.OpWrite, Key: "k", Node: "s1",
			Input: history.Int(value), Invoke: from * ms, Return: to * ms, Type: history.OK}
	}
	return &checker.Run{
		Settings: checker.Settings{Workload: "register", Mode: history.ModeDefault, CheckTime: time.Minute},
		Ops: []history.Operation{
			write(0, 0, 3, 0, 10),
			write(1, 1, 5, 20, 30),
			{ID: 2, Process: 2, F: history.OpRead, Key: "k", Node: "s2", Mode: history.ModeDefault,
				Output: history.Int(3), Invoke: 40 * ms, Return: 50 * ms, Type: history.OK},
		},
	}
}

// A stale read is invalid, and the counterexample holds the operations that show it.
func ExampleJudge() {
	verdict, results := checker.Judge(context.Background(), staleRead(), []checker.Checker{checker.Linearizable()})
	fmt.Println(verdict)
	for _, c := range results[0].Counterexamples {
		fmt.Printf("key %s, %d of %d operations:\n", c.Key, len(c.Ops), c.Of)
		for _, op := range c.Ops {
			fmt.Printf("  %s %s%s\n", op.F, op.Input, op.Output)
		}
	}
	// Output:
	// invalid
	// key k, 3 of 3 operations:
	//   write 3
	//   write 5
	//   read 3
}

// A checker of your own judges beside those of the package. A panic is unknown.
func ExampleChecker() {
	everyReadIsDefault := checker.Checker{
		Name: "mode", Doc: "Every read is in mode default.",
		Check: func(_ context.Context, run *checker.Run) checker.Result {
			for _, op := range run.Ops {
				if op.F == history.OpRead && op.Mode != history.ModeDefault {
					return checker.Result{Verdict: checker.Invalid, Summary: fmt.Sprintf("operation %d is in mode %s", op.ID, op.Mode)}
				}
			}
			return checker.Result{Verdict: checker.Valid, Summary: "all reads are in mode default"}
		},
	}
	broken := checker.Checker{Name: "broken", Check: func(context.Context, *checker.Run) checker.Result { panic("index out of range") }}
	verdict, results := checker.Judge(context.Background(), staleRead(), []checker.Checker{everyReadIsDefault, broken})
	fmt.Println(verdict)
	for _, r := range results {
		fmt.Printf("%s %s: %s\n", r.Checker, r.Verdict, r.Summary)
	}
	// Output:
	// unknown
	// mode valid: all reads are in mode default
	// broken unknown: the checker crashed: index out of range
}

// A checker whose needs a run does not meet is not applicable, and does not count.
func ExampleChecker_needs() {
	run := staleRead()
	run.Settings.Abilities = []history.Ability{history.ObservesLeaders}
	_, results := checker.Judge(context.Background(), run, checker.All()[:2])
	for _, r := range results {
		fmt.Printf("%s %s: %s\n", r.Checker, r.Verdict, r.Summary)
	}
	// Output:
	// index not applicable: the system's answers have no modify index
	// raft not applicable: the system's servers do not say how far their logs are
}

func ExampleWorst() {
	fmt.Println(checker.Worst(checker.Valid, checker.Unknown, checker.Invalid))
	fmt.Println(checker.Worst(checker.Valid, checker.Unknown))
	fmt.Println(checker.Worst())
	// Output:
	// invalid
	// unknown
	// unknown
}

// The write that was sent before the end of the heal does not count as a recovery.
func ExampleRecoveries() {
	write := func(from, to int64) history.Operation {
		return history.Operation{F: history.OpWrite, Invoke: from * ms, Return: to * ms, Type: history.OK}
	}
	run := &checker.Run{
		Faults: []history.Fault{{Step: 0, Name: "partition", Start: 100 * ms, Heal: 900 * ms, Healed: 1000 * ms}},
		Ops:    []history.Operation{write(990, 1005), write(1010, 1250)},
	}
	for _, r := range checker.Recoveries(run) {
		fmt.Println("step", r.Step, r.Recovered, r.After)
	}
	// Output:
	// step 0 true 250ms
}
