package nemesis_test

import (
	"fmt"
	"time"

	"faultline/nemesis"
	"faultline/nodes/faults"
	"faultline/topologies"
)

func ExampleParse() {
	s, err := nemesis.Parse("steps.yaml", []byte("steps:\n  - {at: 3s, for: 5s, fault: partition, target: primary, oneway: in}\n"))
	fmt.Println(s.Steps[0].Label(), s.End(), err)
	_, err = nemesis.Parse("steps.yaml", []byte("steps:\n  - {at: 3s, for: 5s, fault: kill, target: one, loss: 0.2}\n"))
	fmt.Println(err)
	// Output:
	// partition primary in 8s <nil>
	// steps.yaml:2: kill does not take "loss"; it takes at, for, fault, target, dc, between, draw, when, after, within, optional, skip, fired
}

// A schedule can be written in Go too; what the steps make of a cluster is a value.
func ExampleSchedule_Check() {
	three, err := topologies.Load("dc1-3")
	if err != nil {
		panic(err)
	}
	s := nemesis.Schedule{Steps: []nemesis.Step{
		{At: time.Second, For: 5 * time.Second, Fault: nemesis.Kill{}, Target: nemesis.Names("dc1-s2")},
		{At: 3 * time.Second, For: 5 * time.Second, Fault: nemesis.Link{Link: faults.Link{Delay: 40 * time.Millisecond}}, Target: nemesis.Target{Word: nemesis.All}},
	}}
	fmt.Println(s.Check(three, faults.Capabilities()))
	fmt.Print(s)
	// Output:
	// <nil>
	// steps:
	//   - {at: 1s, for: 5s, fault: kill, target: [dc1-s2]}
	//   - {at: 3s, for: 5s, fault: link, target: all, delay: 40ms}
}
