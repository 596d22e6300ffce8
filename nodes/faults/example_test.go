package faults_test

import (
	"fmt"
	"time"

	"faultline/nodes/faults"
)

// Faults add up in one value, and do not know of each other.
func ExampleConditions() {
	var c faults.Conditions
	c.Cut([]string{"a"}, []string{"b"}, faults.Link{Delay: 40 * time.Millisecond})
	c.Cut([]string{"a"}, []string{"b"}, faults.Link{Loss: 0.2})
	c.SetProcess([]string{"c"}, faults.Killed)
	fmt.Println(c)
	fmt.Println(c.Needs())
	// Output:
	// a>b loss 0.2, delay 40ms, c killed
	// [link-delay link-loss process-kill]
}

// Evidence that shows nothing is told from evidence that shows what was asked.
func ExampleEvidence_Gaps() {
	var killed faults.Conditions
	killed.SetProcess([]string{"a"}, faults.Killed)
	e := faults.Evidence{Want: &killed, Before: &faults.Conditions{}, Part: killed, Nodes: []string{"a"}}
	fmt.Println(e.Gaps())
	e.Got = &faults.Measurement{Processes: map[string]faults.ProcessState{"a": faults.Running}}
	fmt.Println(e.Gaps())
	e.Got.Processes["a"] = faults.Killed
	fmt.Println(e.Gaps())
	// Output:
	// [nothing was measured]
	// [a is running, not killed]
	// []
}
