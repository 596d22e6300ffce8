package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

func TestPageIsWellFormed(t *testing.T) {
	for _, d := range append(suite(t), Data{}, hostileData(hostile)) {
		page, err := HTML(d)
		require.NoError(t, err)
		requireBalanced(t, page)
		requireSelfContained(t, page)
	}
}

// void elements have no end tag; https://html.spec.whatwg.org/#void-elements.
var void = map[string]bool{"meta": true, "br": true, "img": true, "link": true, "input": true, "hr": true}

func requireBalanced(t *testing.T, page []byte) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	var open []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			require.ErrorIs(t, z.Err(), io.EOF)
			require.Empty(t, open)
			return
		case html.StartTagToken:
			if name, _ := z.TagName(); !void[string(name)] {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			require.NotEmpty(t, open, "</%s>", name)
			require.Equal(t, open[len(open)-1], string(name))
			open = open[:len(open)-1]
		}
	}
}

// requireSelfContained demands that nothing on the page makes a browser load anything,
// or run anything but its own script.
func requireSelfContained(t *testing.T, page []byte) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	require.NoError(t, err)
	scripts := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch n.Data {
		case "script":
			scripts++
		case "img", "link", "iframe", "object", "embed", "audio", "video", "image", "use", "base", "foreignobject":
			t.Errorf("the page has a <%s>", n.Data)
		case "style":
			require.NotContains(t, n.FirstChild.Data, "url(")
			require.NotContains(t, n.FirstChild.Data, "@import")
		}
		for _, a := range n.Attr {
			switch key := strings.ToLower(a.Key); {
			case strings.HasPrefix(key, "on"), key == "src", key == "srcset", key == "style", key == "action":
				t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
			case key == "href":
				require.NotContains(t, a.Val, ":", "<%s>", n.Data)
				require.False(t, strings.HasPrefix(a.Val, "//"), a.Val)
			case strings.Contains(a.Val, "url("):
				require.True(t, strings.HasPrefix(a.Val, "url(#"), a.Val)
			}
		}
	}
	require.Equal(t, 2, scripts, "one of data, one of code")
}

func TestPageSaysWhatItMust(t *testing.T) {
	page, err := HTML(invalidData(t, 60))
	require.NoError(t, err)
	text := textOf(t, page)
	for _, want := range []string{
		"linearizable: 5 of 35 keys not linearizable: key k21: the read of 41202 by process 9071 at dc1-s2 began 40.7 ms after",
		"it began 40.7 ms after operation 2 was over", "#6 deposed-leader-reads dc1-s2, from 36.00 s until 40.15 s",
		"faultline test ci/smoke/partitions.yaml", "dc1-3c2: dc1 with 3 servers and 2 client agents",
		"step 5, pause of dc1-s1 and dc1-s2", "cas-mismatch", "leadership-lost", "client → follower → leader", "Leadership changed 4 times",
		"sha256:1f0c9c", "all 20 links open", "The topology has an even number of servers in dc2.",
	} {
		require.Contains(t, text, want)
	}
	require.Contains(t, string(page), `href="linearizability/k21.html"`)
}

// textOf is what a reader sees.
func textOf(t *testing.T, page []byte) string {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	require.NoError(t, err)
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			b.WriteString(n.Data)
		}
	}
	return b.String()
}

const hostile = "</script></style></title></svg>--><script>alert(1)</script><img src=x onerror=alert(1)>\"'`]]>&lt;|\\\n\r\t\x00\x1b[31m\u202e\u2028{{.}}%s @someone https://example.com javascript:alert(1) \xff"

// hostileData has the text wherever a system under test, or a user, may put one.
func hostileData(s string) Data {
	raw := history.Int(1)
	op := history.Operation{Process: 1, F: history.Op(s), Key: s, Input: raw, Output: raw, Node: s, Mode: history.Mode(s), Invoke: 1e6, Return: 2e6, Type: history.OK, Error: history.Code(s),
		Hops: []history.Hop{{Node: s, Role: history.Role(s), MS: 1}}}
	failed := op
	failed.Process, failed.Type, failed.Return = 2, history.Fail, 3e6
	odd := failed
	odd.F, odd.Input, odd.Process = "cas", []byte(s), 3
	ops := []history.Operation{op, failed, odd}
	fault := history.Fault{Step: 0, Name: s, Targets: []string{s}, Start: 1e6, Heal: 2e6, Healed: 3e6, Asked: s, Measured: s, HealMeasured: s, Error: s}
	run := &checker.Run{
		Settings: checker.Settings{Workload: s, Mode: history.Mode(s)}, Ops: ops, Faults: []history.Fault{fault},
		Topology: topologies.Topology{Name: s, Datacenters: []topologies.Datacenter{{Name: s, Servers: topologies.Members{Names: []string{s, "b"}}}}},
		Baseline: &history.FaultEvent{Measured: s, Error: s},
		Events: []history.Event{
			{Time: 0, Process: history.Harness, F: history.FPhase, Value: []byte(s)},
			{Time: 1e6, Process: history.Observer, F: history.FObserve, Node: s, Value: []byte(`{"state":"Leader","term":1}`)},
			{Time: 2e6, Process: history.Observer, F: history.FObserve, Node: s, Value: []byte(s)},
			{Time: 4e6, Process: history.Harness, F: history.FPhase, Value: []byte(`"end"`)},
		},
	}
	return Data{
		Scenario: s, Command: s, Runtime: s, System: s, Verdict: checker.Verdict(s), Run: run, Dir: s, Notes: []string{s},
		Results: []checker.Result{
			{Checker: s, Verdict: checker.Invalid, Summary: s, Reasons: []string{s}, Metrics: []checker.Metric{{Name: s, Value: 1.5, Unit: s}},
				Counterexamples: []checker.Counterexample{{Key: s, Why: s, Ops: ops, File: "javascript:alert(1)"}}},
			{Checker: s, Verdict: checker.Verdict(s), Summary: s},
		},
		ScenarioText: s, ScheduleText: s, ResolvedText: s, TopologyText: s, Versions: map[string]string{s: s},
	}
}

func FuzzHostileText(f *testing.F) {
	f.Add(hostile)
	f.Add("")
	f.Add("]]>\n\uFFFE\uFFFF")
	f.Add("```\n| a | b |")
	f.Fuzz(func(t *testing.T, text string) {
		d := hostileData(text)
		page, err := HTML(d)
		require.NoError(t, err)
		requireBalanced(t, page)
		requireSelfContained(t, page)

		cases, err := JUnitSuite(text, []Data{d, d})
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(cases, new(junitSuites)))

		for _, shown := range []string{Terminal(d, false, 80), TerminalSuite([]Data{d}, false, 80), Markdown(d), MarkdownSuite(text, []Data{d})} {
			requireHarmless(t, shown)
			require.NotContains(t, shown, "\t")
		}
		d.Command = "" // stands in a block of code, where nothing is markup
		require.NotContains(t, Markdown(d), "<script")
		require.NotContains(t, Markdown(d), "<img")
	})
}

func TestNothingAtAll(t *testing.T) {
	page, err := HTML(Data{})
	require.NoError(t, err)
	require.Contains(t, textOf(t, page), "Nothing was judged")
	require.Contains(t, Terminal(Data{}, false, 0), "Nothing was judged")
	require.Contains(t, Markdown(Data{}), "Nothing was judged")
	cases, err := JUnit(Data{})
	require.NoError(t, err)
	require.Contains(t, string(cases), `errors="1"`)
	require.Contains(t, TerminalSuite(nil, false, 0), "UNKNOWN")
}

func TestAShapeTellsOfLinks(t *testing.T) {
	far, err := topologies.Load("dc1-5far")
	require.NoError(t, err)
	require.Equal(t, "dc1-5far: dc1 with 5 servers; links that are slow or lossy by themselves", shape(&checker.Run{Topology: far}))
}
