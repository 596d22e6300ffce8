package faultline_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"faultline"
	"faultline/checker"
	"faultline/topologies"
)

// A test in Go plays a scenario, and fails unless the cluster kept its promises. It needs a
// machine that offers a runtime (faultline doctor).
func ExampleRun() {
	scenario, err := faultline.LoadScenario("ci/smoke/partitions.yaml")
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := faultline.Run(context.Background(), scenario, faultline.Options{Store: "store"})
	if err != nil {
		log.Fatal(err) // there is no verdict
	}
	if outcome.Verdict != checker.Valid {
		log.Fatalf("%s, see %s/report.html", outcome.Verdict, outcome.Dir)
	}
}

func ExampleParseScenario() {
	scenario, err := faultline.ParseScenario("leader-loss.yaml", []byte(`
topology: dc1-5
time-limit: 20s
steps:
  - {at: 2s, for: 5s, fault: partition, target: primary}
  - {at: 10s, for: 3s, fault: kill, target: minority, draw: 4}
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scenario.Name, scenario.Topology, scenario.TimeLimit)
	for _, step := range scenario.Steps {
		fmt.Println(step.At, step.Label())
	}
	_, err = faultline.ParseScenario("wrong.yaml", []byte("ratee: 5\n"))
	fmt.Println(err)
	// Output:
	// leader-loss dc1-5 20s
	// 2s partition primary
	// 10s kill minority
	// wrong.yaml:1: unknown field "ratee"
}

// A scenario can be made without a file, too. What a seed makes of its families of faults
// depends on nothing else.
func ExampleMakeSchedule() {
	schedule, err := faultline.MakeSchedule(faultline.Scenario{Topology: "dc1-5", Nemesis: []string{"kill"},
		Seed: 7, TimeLimit: 20 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(schedule)
	// Output:
	// seed: 7
	// steps:
	//   - {at: 4.1s, for: 5.1s, fault: kill, target: all}
	//   - {at: 9.1s, for: 3.6s, fault: kill, target: one, draw: 205}
}

// A run directory is all that is needed to judge a run again, wherever it was made.
func ExampleAnalyze() {
	stored := filepath.Join("cmd", "faultline", "testdata", "runs", "invalid")
	dir, err := os.MkdirTemp("", "example") // a copy: Analyze writes reports
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(stored)); err != nil {
		log.Fatal(err)
	}
	outcome, err := faultline.Analyze(context.Background(), dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(outcome.Verdict)
	for _, result := range outcome.Results {
		if result.Verdict == checker.Invalid {
			fmt.Println(result.Checker, len(result.Counterexamples))
		}
	}
	// Output:
	// invalid
	// linearizable 2
}

// A program adds what it brings to the registry: here a checker, which then judges every run, also stored ones.
func ExampleRegistry() {
	registry := faultline.Default()
	registry.Checkers = append(registry.Checkers, checker.Checker{
		Name: "one-leader", Doc: "Nobody but dc1-s1 ever leads.",
		Needs: func(run *checker.Run) string {
			if len(run.Topology.Servers()) < 5 {
				return "it is for clusters of five servers"
			}
			return ""
		},
		Check: func(context.Context, *checker.Run) checker.Result { return checker.Result{Verdict: checker.Valid} },
	})
	dir, err := os.MkdirTemp("", "example") // a copy: Analyze writes reports
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("cmd", "faultline", "testdata", "runs", "valid"))); err != nil {
		log.Fatal(err)
	}
	outcome, err := registry.Analyze(context.Background(), dir)
	if err != nil {
		log.Fatal(err)
	}
	last := outcome.Results[len(outcome.Results)-1]
	fmt.Println(outcome.Verdict)
	fmt.Printf("%s: %s, %s\n", last.Checker, last.Verdict, last.Summary)
	// Output:
	// valid
	// one-leader: not applicable, it is for clusters of five servers
}

// A topology can be a value of the program's own.
func ExampleOptions() {
	topology, err := topologies.Parse("mine.yaml", []byte("name: mine\ndatacenters:\n  - {name: dc1, servers: [ann, bob, eve]}\n"))
	if err != nil {
		log.Fatal(err)
	}
	err = faultline.Check(context.Background(), []faultline.Scenario{{Nemesis: []string{"join"}}}, faultline.Options{Topology: topology})
	fmt.Println(err)
	// Output:
	// faults of the family join cannot be played on mine
}

// Check finds the mistakes of scenarios without starting anything.
func ExampleCheck() {
	err := faultline.Check(context.Background(), []faultline.Scenario{{Topology: "dc1-3", Workload: "queue"}}, faultline.Options{})
	fmt.Println(err)
	// Output:
	// no workload "queue"; there is append, forwarding, lock, register, tree, watch
}
