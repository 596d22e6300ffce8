package report

import (
	"encoding/xml"
	"fmt"
	"strings"

	"faultline/checker"
)

// The elements of JUnit's XML that Jenkins, GitHub's actions and GitLab all read; see
// https://github.com/jenkinsci/xunit-plugin, src/main/resources, junit-10.xsd. A scenario
// is a testsuite, a checker a testcase. Invalid is a failure: the system broke a
// promise. Unknown is an error: nothing could be concluded.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr,omitempty"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        junitText       `xml:"system-out"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitProblem `xml:"failure"`
		Skipped *junitProblem `xml:"skipped"` // the checker is not applicable
		Error   *junitProblem `xml:"error"`
	}
	junitProblem struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",cdata"`
	}
	junitText struct {
		Text string `xml:",cdata"`
	}
)

// JUnit returns one run as JUnit XML, as JUnitSuite does. The name is the scenario's.
func JUnit(d Data) ([]byte, error) { return JUnitSuite(d.Scenario, []Data{d}) }

// JUnitSuite returns several runs as one file of JUnit XML, in UTF-8: a scenario is a testsuite, a
// checker a testcase. Invalid is a failure and unknown an error, so that a run which is not valid
// is never green. An error is a defect of this package, whatever the runs hold.
func JUnitSuite(name string, runs []Data) ([]byte, error) {
	all := junitSuites{Name: name}
	length := 0.0 // seconds
	for _, d := range runs {
		suite := junitOf(d)
		all.Suites = append(all.Suites, suite)
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
		length += d.Length.Seconds()
	}
	all.Time = junitTime(length)
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}

// cdata leaves out what XML 1.0 (section 2.2) does not allow even there; lines stay lines.
func cdata(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.Map(func(r rune) rune {
			if r == '\uFFFE' || r == '\uFFFF' {
				return '\uFFFD'
			}
			return r
		}, VisibleLine(line))
	}
	return strings.Join(lines, "\n")
}

func junitTime(seconds float64) string { return fmt.Sprintf("%.3f", seconds) }

func junitOf(d Data) junitSuite {
	suite := junitSuite{Name: d.Scenario, Time: junitTime(d.Length.Seconds()), Out: junitText{cdata(junitOut(d))}}
	if !d.Started.IsZero() {
		suite.Timestamp = d.Started.UTC().Format("2006-01-02T15:04:05")
	}
	for _, p := range append(facts(d), versionPairs(d.Versions)...) {
		suite.Properties = append(suite.Properties, junitProperty(p))
	}
	for _, r := range junitResults(d) {
		c := junitCase{Class: "faultline." + d.Scenario, Name: r.Checker, Time: junitTime(0)}
		problem := &junitProblem{Message: r.Summary, Type: string(r.Verdict), Text: cdata(problemText(r, d))}
		switch r.Verdict {
		case checker.Valid:
		case checker.NotApplicable:
			c.Skipped = &junitProblem{Message: r.Summary}
			suite.Skipped++
		case checker.Invalid:
			c.Failure = problem
			suite.Failures++
		default:
			c.Error = problem
			suite.Errors++
		}
		suite.Cases = append(suite.Cases, c)
	}
	suite.Tests = len(suite.Cases)
	return suite
}

// junitResults are the checkers' results, and one more for the run as a whole where they
// alone would look better than its verdict: an empty testsuite is green to a CI server.
func junitResults(d Data) []checker.Result {
	var verdicts []checker.Verdict
	for _, r := range d.Results {
		verdicts = append(verdicts, r.Verdict)
	}
	worst := checker.Worst(verdicts...)
	if len(d.Results) > 0 && checker.Worst(worst, d.Verdict) == worst {
		return d.Results
	}
	verdict := d.Verdict
	if len(d.Results) == 0 {
		verdict = checker.Worst(checker.Unknown, d.Verdict)
	}
	whole := checker.Result{Checker: "run", Verdict: verdict, Summary: headline(d), Reasons: d.Notes}
	return append([]checker.Result{whole}, d.Results...)
}

func problemText(r checker.Result, d Data) string {
	lines := []string{r.Summary}
	for _, reason := range otherReasons(r, len(r.Counterexamples)) {
		lines = append(lines, "- "+reason)
	}
	for i, c := range r.Counterexamples {
		s := storyOf(i+1, c, d.run())
		lines = append(lines, "", fmt.Sprintf("Counterexample %d, key %s: %s", s.Number, s.Key, s.Why))
		lines = append(lines, storyLines(s)...)
	}
	if d.Command != "" {
		lines = append(lines, "", "Repeat it: "+d.Command)
	}
	return strings.Join(lines, "\n")
}

// storyLines lists the operations of a counterexample, a numbered line each.
func storyLines(s story) []string {
	var lines []string
	for i, t := range s.Sentences {
		line := fmt.Sprintf("%d. %s", i+1, t.Text)
		if t.Order != "" {
			line += " (" + t.Order + ")"
		}
		lines = append(lines, line)
	}
	if s.LeftOut > 0 {
		lines = append(lines, fmt.Sprintf("… and %s more", count(s.LeftOut, "operation")))
	}
	for _, m := range s.Meanwhile {
		lines = append(lines, "In force meanwhile: fault "+m)
	}
	return lines
}

func junitOut(d Data) string {
	lines := []string{string(d.Verdict) + ": " + headline(d)}
	lines = append(lines, d.Notes...)
	if d.Command != "" {
		lines = append(lines, "repeat it: "+d.Command)
	}
	if d.Dir != "" {
		lines = append(lines, "run directory: "+d.Dir)
	}
	return strings.Join(lines, "\n")
}
