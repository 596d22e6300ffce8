// Package report presents the verdict and the results of a run. Every function is pure: from one
// [Data], or a list of them, to text.
//
//	page, err := report.HTML(data)          // a self-contained page
//	cases, err := report.JUnit(data)        // JUnit XML, for a CI server
//	fmt.Print(report.Markdown(data))        // GitHub's Markdown, for a CI job's summary
//	fmt.Print(report.Terminal(data, true, 100))
//
// JUnitSuite, MarkdownSuite and TerminalSuite do the same for several runs.
//
// The HTML page loads nothing from elsewhere: it can be mailed, printed, and read years
// later. All forms take their sentences from words.go and digest.go, so they never
// contradict each other. Names, values and errors come from the system under test and
// are not trusted: each form escapes what it prints.
//
// The package does not judge. It prints the verdict of package checker, and never makes it look
// better than it is.
package report

import (
	"time"

	"faultline/checker"
)

// Data is the input of a report. Only Verdict is required; what is zero is left out.
type Data struct {
	Scenario string // its name
	Seed     uint64 // of its schedule and its operations
	Command  string // the one command that repeats this run, from the working directory
	// CommandInDir is the same from the run directory, wherever that is.
	CommandInDir string
	Started      time.Time        // by the wall clock
	Length       time.Duration    // of the run, without the setup of the cluster
	Runtime      string           // what ran the nodes: docker, local
	System       string           // what was tested: agent, consul
	Verdict      checker.Verdict  // of the whole run
	Results      []checker.Result // by checker, in the order in which they are shown
	Run          *checker.Run     // nil if there is no history

	// The texts of the run directory's YAML files, shown as they are.
	ScenarioText, ScheduleText, ResolvedText, TopologyText string

	Versions map[string]string // of programs and modules, by name
	Notes    []string          // warnings to show before the verdict
	Dir      string            // the run directory
}

// run is never nil.
func (d Data) run() *checker.Run {
	if d.Run == nil {
		return &checker.Run{}
	}
	return d.Run
}
