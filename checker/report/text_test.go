package report

import (
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

func TestTerminal(t *testing.T) {
	golden(t, "terminal-valid.golden", Terminal(validData(t, 60), false, 100))
	golden(t, "terminal-invalid.golden", Terminal(invalidData(t, 60), false, 80))
	golden(t, "terminal-invalid-colour.golden", Terminal(invalidData(t, 60), true, 100))
}

func TestMarkdown(t *testing.T) {
	golden(t, "markdown-valid.golden", Markdown(validData(t, 60)))
	golden(t, "markdown-invalid.golden", Markdown(invalidData(t, 60)))
}

func TestJUnit(t *testing.T) {
	for name, d := range map[string]Data{"junit-valid.golden": validData(t, 60), "junit-invalid.golden": invalidData(t, 60)} {
		got, err := JUnit(d)
		require.NoError(t, err)
		golden(t, name, string(got))
	}
}

// suite has a run of each verdict, one of them without any result.
func suite(t *testing.T) []Data {
	broken := Data{Scenario: "crashes", Verdict: checker.Unknown, Length: 3 * time.Second, Command: "faultline test ci/smoke/crashes.yaml",
		Notes: []string{"The cluster did not start."}}
	return []Data{validData(t, 60), invalidData(t, 60), broken}
}

func TestSuite(t *testing.T) {
	golden(t, "suite-terminal.golden", TerminalSuite(suite(t), false, 120))
	golden(t, "suite-markdown.golden", MarkdownSuite("smoke", suite(t)))
	got, err := JUnitSuite("smoke", suite(t))
	require.NoError(t, err)
	golden(t, "suite-junit.golden", string(got))
}

func TestJUnitCountsWhatItHolds(t *testing.T) {
	text, err := JUnitSuite("smoke", suite(t))
	require.NoError(t, err)
	var got junitSuites
	require.NoError(t, xml.Unmarshal(text, &got))
	require.Len(t, got.Suites, 3)
	var tests, failures, errors int
	for _, s := range got.Suites {
		require.Len(t, s.Cases, s.Tests)
		tests += s.Tests
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
				require.Contains(t, c.Failure.Text, "Counterexample 1, key k21")
			}
			if c.Error != nil {
				errors++
			}
		}
	}
	require.Equal(t, []int{tests, failures, errors}, []int{got.Tests, got.Failures, got.Errors})
	require.Equal(t, []int{11, 1, 2}, []int{tests, failures, errors})
}

func TestJUnitIsNeverBetterThanTheVerdict(t *testing.T) {
	fine := []checker.Result{{Checker: "raft", Verdict: checker.Valid}}
	for _, c := range []struct {
		verdict          checker.Verdict
		results          []checker.Result
		failures, errors int
	}{
		{checker.Valid, fine, 0, 0},
		{checker.Unknown, fine, 0, 1},
		{checker.Invalid, fine, 1, 0},
		{checker.Valid, nil, 0, 1},
		{checker.Invalid, nil, 1, 0},
	} {
		got := junitOf(Data{Verdict: c.verdict, Results: c.results})
		require.Equal(t, []int{c.failures, c.errors}, []int{got.Failures, got.Errors}, "%+v", c)
	}
}

func TestSpan(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0 ns": 0, "999 ns": 999, "1.00 µs": 1000, "850 µs": 850 * time.Microsecond, "2.13 ms": 2130 * time.Microsecond,
		"41.0 ms": 41 * time.Millisecond, "3.21 s": 3210 * time.Millisecond, "60.2 s": 60214 * time.Millisecond,
		"3600 s": time.Hour, "10.0 ms": 9999 * time.Microsecond, "-2.00 s": -2 * time.Second,
	} {
		require.Equal(t, want, span(d))
	}
}

func TestThousands(t *testing.T) {
	require.Equal(t, []string{"0", "999", "1,000", "12,047", "1,234,567", "-1,000"},
		[]string{thousands(0), thousands(999), thousands(1000), thousands(12047), thousands(1234567), thousands(-1000)})
}

func TestSentences(t *testing.T) {
	op := func(f history.Op, kind history.Type, input, output string, failure history.Code) history.Operation {
		return history.Operation{Process: 7, F: f, Key: "k", Input: []byte(input), Output: []byte(output), Node: "dc1-s2", Mode: "stale",
			Invoke: 1_500_000, Return: 12_047_213_000, Type: kind, Error: failure}
	}
	for want, o := range map[string]history.Operation{
		"process 7 asked dc1-s2 to write 5, sent at 1.500 ms: acknowledged at 12,047.213 ms":                                                                         op("write", history.OK, "5", "5", ""),
		"process 7 asked dc1-s2 to read in mode stale, sent at 1.500 ms: returned absent at 12,047.213 ms":                                                           op("read", history.OK, "", "null", ""),
		"process 7 asked dc1-s2 to set 5 if the value was 3, sent at 1.500 ms: did not happen (no-leader, answered at 12,047.213 ms)":                                op("cas", history.Fail, "[3,5]", "", "no-leader"),
		"process 7 asked dc1-s2 to set 5 if the key was absent, sent at 1.500 ms: acknowledged at 12,047.213 ms":                                                     op("cas", history.OK, "[null,5]", "", ""),
		"process 7 asked dc1-s2 to write 5, sent at 1.500 ms: got no definite answer (timeout), so it may have taken effect at any later time, or never":             op("write", history.Info, "5", "", "timeout"),
		"process 7 asked dc1-s2 to append [1,2], sent at 1.500 ms: acknowledged at 12,047.213 ms":                                                                    op("append", history.OK, "[1,2]", "", ""),
		"process 7 asked dc1-s2 to cas \"odd\", sent at 1.500 ms: got no definite answer (connection-lost), so it may have taken effect at any later time, or never": op("cas", history.Info, `"odd"`, "", "connection-lost"),
	} {
		require.Equal(t, want, sentence(o))
	}
}

func TestStaysFollowTheObserver(t *testing.T) {
	observe := func(at int64, node, value string) history.Event {
		return history.Event{Time: at, Process: history.Observer, Type: history.Info, F: history.FObserve, Node: node, Value: []byte(value)}
	}
	got := stateSpans([]history.Event{
		observe(1, "a", `{"state":"Leader","term":2}`), observe(2, "b", `{"state":"Follower","term":2}`),
		observe(3, "a", `{"state":"Leader","term":2}`), observe(4, "b", `{"state":"Leader","term":3}`),
		observe(5, "a", `{"error":"timeout"}`), observe(7, "a", `{"state":"Follower","term":3}`), observe(8, "b", `nonsense`),
	}, 10)
	require.Equal(t, []stateSpan{
		{"a", "Leader", 2, 1, 5}, {"b", "Leader", 3, 4, 8}, {"a", "silent", 0, 5, 7}, {"b", "silent", 0, 8, 10},
	}, got)
	require.Equal(t, 1, changes(topologies.Topology{}, leaderships(got)))
}

func TestThinKeepsProofs(t *testing.T) {
	ops := make([]history.Operation, 3*maxDetailed)
	for i := range ops {
		ops[i] = history.Operation{Process: 1, Invoke: int64(i), Type: []history.Type{history.OK, history.Fail, history.Info}[i%3]}
	}
	proof := sent{1, 31}
	kept, every := thin(ops, map[sent]bool{proof: true})
	require.LessOrEqual(t, len(kept), maxDetailed+1)
	require.Greater(t, len(kept), maxDetailed/2)
	require.Equal(t, sampling{3, 5}, every)
	require.True(t, func() bool {
		for _, op := range kept {
			if (sent{op.Process, op.Invoke}) == proof {
				return true
			}
		}
		return false
	}())
}

func TestAnExhaustedBudgetIsSaidInEveryForm(t *testing.T) {
	d := validData(t, 5)
	d.Verdict = checker.Unknown
	d.Results[0].Verdict, d.Results[0].Summary = checker.Unknown, "1 of 35 keys undecided: key k3: out of time"
	d.Results[0].Budget = &checker.Budget{WallSeconds: 60, MemoryMB: 2048, Cores: 2, UsedWallSeconds: 45, Exhausted: true}
	page, err := HTML(d)
	require.NoError(t, err)
	for form, text := range map[string]string{"html": string(page), "markdown": Markdown(d), "terminal": Terminal(d, false, 400)} {
		require.Contains(t, text, "Budget of the search: 60.0 s, 2,048 MiB, 2 cores; used: 45.0 s, peak of memory unknown.", form)
		require.Contains(t, text, "Valid and invalid never depend on the budget, unknown may.", form)
		require.Contains(t, text, "more time (check-time) or memory (check-memory-mb) may decide", form)
	}
	d.Results[0].Budget = nil
	require.NotContains(t, Markdown(d), "udget", "nothing searched")
}
