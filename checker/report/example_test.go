package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"faultline/checker"
	"faultline/checker/report"
	"faultline/workloads/history"
)

// healed is a valid run without a history.
func healed() report.Data {
	return report.Data{Scenario: "partitions", Seed: 7, Length: 20 * time.Second, System: "agent", Runtime: "local",
		Command: "faultline test partitions.yaml --seed 7", Verdict: checker.Valid,
		Results: []checker.Result{{Checker: "linearizable", Verdict: checker.Valid, Summary: "all keys linearizable"}}}
}

// stale is an invalid run with one counterexample.
func stale() report.Data {
	const why = "the read by process 2 at s2 began 10 ms after the write of 5 had been acknowledged, and yet it returned the older value 3"
	ms := int64(time.Millisecond)
	ops := []history.Operation{
		{Process: 1, F: history.OpWrite, Key: "k", Node: "s1", Input: history.Int(5), Invoke: 20 * ms, Return: 30 * ms, Type: history.OK},
		{Process: 2, F: history.OpRead, Key: "k", Node: "s2", Output: history.Int(3), Invoke: 40 * ms, Return: 50 * ms, Type: history.OK},
	}
	return report.Data{Scenario: "deposed-leader", Seed: 8, Length: 20 * time.Second,
		Command: "faultline test deposed-leader.yaml --seed 8", Verdict: checker.Invalid,
		Results: []checker.Result{{Checker: "linearizable", Verdict: checker.Invalid, Summary: "1 of 3 keys not linearizable",
			Counterexamples: []checker.Counterexample{{Key: "k", Why: why, Ops: ops, Of: 300}}}}}
}

func ExampleTerminal() {
	fmt.Print(report.Terminal(stale(), false, 80))
	// Output:
	// ✗ INVALID  deposed-leader  20.0 s · seed 8
	//   linearizable: 1 of 3 keys not linearizable
	//
	//   ✗ linearizable  1 of 3 keys not linearizable
	//
	//   0 operations (0 ok, 0 fail, 0 info); 0 faults (none); 0 changes of leadership
	//
	//   counterexample 1, key k
	//     The read by process 2 at s2 began 10 ms after the write of 5 had been
	//     acknowledged, and yet it returned the older value 3.
	//     1. process 1 asked s1 to write 5, sent at 20.000 ms: acknowledged at
	//        30.000 ms
	//     2. process 2 asked s2 to read, sent at 40.000 ms: returned 3 at 50.000 ms
	//        (it began 10.0 ms after operation 1 was over)
	//
	//   repeat  faultline test deposed-leader.yaml --seed 8
}

func ExampleTerminalSuite() {
	fmt.Print(report.TerminalSuite([]report.Data{healed(), stale()}, false, 100))
	// Output:
	// scenario        verdict       ops  faults  seconds        seed  why
	// ✓ partitions      valid           0       0     20.0           7
	// ✗ deposed-leader  invalid         0       0     20.0           8  linearizable: 1 of 3 keys not lin…
	//
	// ✗ INVALID  2 scenarios: 1 valid, 1 invalid, 0 unknown
}

func ExampleMarkdown() {
	fmt.Print(report.Markdown(healed()))
	// Output:
	// ## ✓ valid: partitions
	//
	// **No broken promise was found by 1 checker over 0 operations, without any fault.**
	//
	// | | checker | verdict | what it found |
	// |---|---|---|---|
	// | ✓ | linearizable | valid | all keys linearizable |
	//
	// 0 operations (0 ok, 0 fail, 0 info); 0 faults (none); 0 changes of leadership.
	//
	// Repeat it:
	//
	// ```
	// faultline test partitions.yaml --seed 7
	// ```
}

func ExampleJUnit() {
	cases, err := report.JUnit(healed())
	if err != nil {
		panic(err)
	}
	fmt.Println(string(cases))
	// Output:
	// <?xml version="1.0" encoding="UTF-8"?>
	// <testsuites name="partitions" tests="1" failures="0" errors="0" time="20.000">
	//   <testsuite name="partitions" tests="1" failures="0" errors="0" skipped="0" time="20.000">
	//     <properties>
	//       <property name="Scenario" value="partitions"></property>
	//       <property name="System" value="agent"></property>
	//       <property name="Runtime" value="local"></property>
	//       <property name="Faults" value="none"></property>
	//       <property name="Seed" value="7"></property>
	//       <property name="Length" value="20.0 s"></property>
	//     </properties>
	//     <testcase classname="faultline.partitions" name="linearizable" time="0.000"></testcase>
	//     <system-out><![CDATA[valid: No broken promise was found by 1 checker over 0 operations, without any fault.
	// repeat it: faultline test partitions.yaml --seed 7]]></system-out>
	//   </testsuite>
	// </testsuites>
}

// The page is self-contained.
func ExampleHTML() {
	page, err := report.HTML(stale())
	if err != nil {
		panic(err)
	}
	fmt.Println(bytes.Contains(page, []byte("the older value 3")), bytes.Contains(page, []byte("<link")), bytes.Contains(page, []byte("src=")))
	// Output:
	// true false false
}

// Text of the system under test cannot control the terminal.
func ExampleVisible() {
	fmt.Println(report.Visible("\x1b[31mred\x1b[0m\nnext line"))
	// Output:
	// \x1b[31mred\x1b[0m
	// next line
}

func ExampleVisibleLine() {
	fmt.Println(report.VisibleLine("one\nline\u202e"))
	// Output:
	// one line\u202e
}

func ExampleWrapped() {
	fmt.Println(strings.Join(report.Wrapped("a path stays whole: store/deposed-leader/latest", 20), "\n"))
	// Output:
	// a path stays whole:
	// store/deposed-leader/latest
}
