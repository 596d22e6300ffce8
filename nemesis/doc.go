// Package nemesis breaks a running cluster on purpose, by a timetable, and records the
// evidence that it did. A Schedule is that timetable, a plain text file:
//
//	steps:
//	  - {at: 3s, for: 5s, fault: partition, target: primary, oneway: in}
//	  - {at: 6s, for: 2s, fault: kill, target: minority, draw: 4}
//	  - {at: 12s, fault: transfer}
//
// Play plays it in real time: at every change the Conditions of the cluster become the
// sum of what the steps apply that are active then, so faults overlap without knowing
// of each other, and the heal of one is the Conditions without it. What was asked and what
// was measured goes into the history as values ([faults.Evidence]): links by probes,
// processes by their state, leadership by who leads. Whether that shows the fault is decided
// by whoever reads the history, not here.
//
// A [Fault] is a type whose fields are its options. One that changes conditions is a
// [State]; one that does more, or something else, has [Acts].
//
// A fault whose effect takes its time, or that acts again and again, has a Work: it goes on
// beside the schedule and may add conditions of its own to those of
// the steps, by the same Set, one change after the other. What steps take from a cluster
// for good is counted before the run (voters.go), and right before such a step it is asked who votes: it
// waits until a majority stays, and is not done if that does not come (quorum.go).
//
// Clocks and disks are conditions like any other (SetClock, SetDisk), and what Measure reads back
// proves them. A disk that fails may end a node: the heal starts it again, and checkers do not take
// it for a crash. Bit-flip and truncate end a node themselves, since files are damaged only
// while the node does not run.
//
// Of several datacenters each has a leader, peers and events of its own: a step names the one that it means
// (datacenters.go), and its fault then sees nothing of the others. What is between them has targets of its own.
//
// Generate makes a Schedule from a seed and is the only place that draws random numbers.
// A fault takes every choice as input: a word such as minority names nodes by the step's
// draw, and primary is looked up when the step begins and written back as a name, so the
// schedule that Play returns replays by itself.
//
// A new fault is one file and one line in the table of fault.go. The package is not for
// how a condition is made true (package nodes and its runtimes), nor for judging what a
// fault did to the system (package checker).
package nemesis
