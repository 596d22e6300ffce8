// Package report tells people and machines what a run found. Every function here is
// pure: from one Data, or a list of them, to bytes.
//
//	page, err := report.HTML(data)          // for a reader who has never seen Faultline
//	cases, err := report.JUnit(data)        // for a CI server
//	fmt.Print(report.Markdown(data))        // for a CI job's summary
//	fmt.Print(report.Terminal(data, true, 100))
//
// The HTML page loads nothing from elsewhere: it can be mailed, printed, and read years
// later. All forms take their sentences from words.go and digest.go, so they never
// contradict each other. Names, values and errors come from the system under test and
// are trusted by none of them: each form escapes what it prints.
//
// It is not for judging: a verdict is taken as it is (package checker), and a report
// never makes it look better than it is.
package report

import (
	"time"

	"faultline/checker"
)

// Data is all that a report is made of.
type Data struct {
	Scenario string        // its name
	Seed     uint64        // of its schedule and its operations
	Command  string        // the one command that repeats this run
	Started  time.Time     // by the wall clock
	Length   time.Duration // of the run, without setting the cluster up
	Runtime  string
	System   string
	Verdict  checker.Verdict
	Results  []checker.Result
	Run      *checker.Run // nil if there is no history

	ScenarioText, ScheduleText, ResolvedText, TopologyText string

	Versions map[string]string
	Notes    []string // what a reader must know before believing the verdict
	Dir      string   // the run directory
}

// run is never nil.
func (d Data) run() *checker.Run {
	if d.Run == nil {
		return &checker.Run{}
	}
	return d.Run
}
