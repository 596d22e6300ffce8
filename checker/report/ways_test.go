package report

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"faultline/checker"
	"faultline/topologies"
	"faultline/workloads/history"
)

// farNodes are two servers and a client agent in each of three datacenters; the first leads.
func farTopology() topologies.Topology {
	t := topologies.Topology{Name: "dc3-2x2x2c1"}
	for _, dc := range []string{"dc1", "dc2", "dc3"} {
		t.Datacenters = append(t.Datacenters, topologies.Datacenter{Name: dc, Servers: topologies.Members{Count: 2}, Clients: topologies.Members{Count: 1}})
	}
	return t
}

// farData is a run of three datacenters: links from dc1 to dc2 and back are cut from 10 s to 20 s, and dc3's leader is dead from 30 s to 36 s.
func farData(t *testing.T) Data {
	e := &example{t: t, random: rand.New(rand.NewPCG(3, 3)), length: 50}
	e.mark(0, history.Harness, history.FPhase, history.PhaseFaults)
	e.mark(40, history.Harness, history.FPhase, history.PhaseQuiet)
	e.mark(50, history.Harness, history.FPhase, history.PhaseEnd)
	for i, f := range []struct {
		name       string
		targets    []string
		from, till float64
	}{{"partition", []string{"dc1-s1", "dc1-s2", "dc2-s1", "dc2-s2"}, 10, 20}, {"kill", []string{"dc3-s1"}, 30, 36}} {
		m := history.FaultEvent{Step: i, Stage: history.FaultStart, Lasts: true, Targets: f.targets, Asked: "as it says"}
		e.mark(f.from, history.Nemesis, history.Op(f.name), m)
		m.Done, m.Measured, m.Verified = true, "as asked", true
		e.mark(f.from+0.1, history.Nemesis, history.Op(f.name), m)
		e.mark(f.till, history.Nemesis, history.Op(f.name), history.FaultEvent{Step: i, Stage: history.FaultHeal})
		e.mark(f.till+0.1, history.Nemesis, history.Op(f.name), history.FaultEvent{Step: i, Stage: history.FaultHeal, Done: true, Verified: true, Measured: "as before"})
	}
	layout := farTopology()
	for at := 0.1; at < e.length; at += 0.25 {
		for i, n := range layout.Servers() {
			o := history.Observation{BootID: "b", State: history.Follower, Term: 2}
			if strings.HasSuffix(n.Name, "s1") {
				o.State = history.Leader
			}
			if n.Name == "dc3-s1" && at > 30 && at < 36 {
				o = history.Observation{Error: "connection-refused"}
			}
			e.events = append(e.events, history.Event{Time: sec(at) + int64(i)*1e5, Process: history.Observer, Type: history.Info, F: history.FObserve, Node: n.Name, Value: e.value(o)})
		}
	}
	process := history.Process(0)
	for at := 0.2; at < e.length-5; at += 0.01 {
		asked := layout.Nodes()[e.random.IntN(9)]
		dc := asked.DC
		if e.random.Float64() < 0.5 {
			dc = layout.Datacenters[e.random.IntN(3)].Name
		}
		process++
		invoke := history.Event{Time: sec(at), Process: process, Type: history.Invoke, F: history.OpWrite, Key: fmt.Sprint("register/k", int(at)/5), Value: history.Int(int64(process)), Node: asked.Name, DC: dc}
		end, took := invoke, 0.002+0.003*e.random.Float64()
		end.Type = history.OK
		hops := []history.Hop{}
		if asked.Role == topologies.Client {
			hops = append(hops, history.Hop{Node: asked.Name, Role: history.RoleClient})
		}
		if dc != asked.DC {
			took += 0.08
			hops = append(hops, history.Hop{Node: asked.DC + "-s2", Role: history.RoleFollower}, history.Hop{Node: dc + "-s2", Role: history.RoleFollower})
			if asked.Role == topologies.Server {
				hops[len(hops)-2].Node = asked.Name
			}
		}
		cut := at > 10 && at < 20.5 && dc != asked.DC && dc != "dc3" && asked.DC != "dc3"
		dead := dc == "dc3" && at > 30 && at < 37
		switch {
		case cut:
			end.Type, end.Error, took = history.Info, history.Timeout, 3
			if e.random.IntN(2) == 0 {
				end.Type, end.Error, took = history.Fail, history.DCFailed, 1
			}
			hops = hops[:len(hops)-1]
		case dead:
			end.Type, end.Error, took = history.Fail, history.NoLeader, took+0.2
		default:
			hops = append(hops, history.Hop{Node: dc + "-s1", Role: history.RoleLeader})
			if len(hops) > 1 && hops[len(hops)-2].Node == dc+"-s1" {
				hops = hops[:len(hops)-1]
			}
		}
		for i := range hops {
			hops[i].MS = took * 1000 * (0.95 - 0.1*float64(i))
			if i+1 >= len(hops)-1 && dc != asked.DC && i > 0 {
				hops[i].MS = 1 + float64(len(hops)-i)
			}
		}
		end.Time, end.Hops = sec(at+took), hops
		e.events = append(e.events, invoke, end)
	}
	slices.SortStableFunc(e.events, func(a, b history.Event) int { return cmp.Compare(a.Time, b.Time) })
	for i := range e.events {
		e.events[i].Index = int64(i)
	}
	run := &checker.Run{Settings: checker.Settings{Workload: "forwarding", Mode: history.ModeDefault}, Topology: layout, Events: e.events}
	var err error
	run.Ops, err = history.Operations(e.events)
	require.NoError(t, err)
	run.Faults, run.Baseline, err = history.Faults(e.events)
	require.NoError(t, err)
	return Data{Scenario: "wan-cut", Command: "faultline test ci/wan/cut.yaml", Length: 50 * time.Second, Runtime: "local", System: "agent", Verdict: checker.Valid, Run: run,
		Results: []checker.Result{{Checker: "forwarding", Verdict: checker.Valid, Summary: "1,482 of 1,600 operations for another datacenter were served"}}}
}

// cells are the texts of a table's rows, cell by cell.
func cells(table *html.Node) (rows [][]string) {
	for n := range table.Descendants() {
		if n.Data != "tr" || n.Type != html.ElementNode {
			continue
		}
		var row []string
		for c := range n.ChildNodes() {
			if c.Type != html.ElementNode {
				continue
			}
			var text strings.Builder
			for d := range c.Descendants() {
				if d.Type == html.TextNode {
					text.WriteString(d.Data)
				}
			}
			row = append(row, strings.Join(strings.Fields(text.String()), " "))
		}
		rows = append(rows, row)
	}
	return rows
}

func TestPageBetweenDatacenters(t *testing.T) {
	page, err := HTML(farData(t))
	require.NoError(t, err)
	requireBalanced(t, page)
	requireSelfContained(t, page)
	if file := os.Getenv("FAULTLINE_REPORT_PAGE"); file != "" {
		require.NoError(t, os.WriteFile(file, page, 0o644))
	}
	root, err := html.Parse(strings.NewReader(string(page)))
	require.NoError(t, err)
	var tables [][][]string
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "section" && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "id" && a.Val == "forwarding" }) {
			for d := range n.Descendants() {
				if d.Type == html.ElementNode && d.Data == "table" {
					tables = append(tables, cells(d))
				}
			}
		}
	}
	require.Len(t, tables, 4, "the matrix, faults, stages and errors")
	matrix, faults, stages, errors := tables[0], tables[1], tables[2], tables[3]
	require.Equal(t, []string{"asked in", "for data of dc1", "for data of dc2", "for data of dc3"}, matrix[0])
	require.Len(t, matrix, 4)
	require.Contains(t, matrix[1][1], "100 % of ")
	require.Regexp(t, `^7\d\.\d\d % of \d+p50 8\d\.\d ms · p99 `, matrix[1][2], "dc1 was cut off from dc2 for a good fifth of the time")
	require.Len(t, faults, 3)
	require.Len(t, faults[1], 2+9, "each way")
	require.Contains(t, faults[1][3], "0.00 % of ")
	require.Contains(t, faults[1][3], "back in ")
	require.Contains(t, faults[1][2], "100 % of ")
	require.Equal(t, []string{"way", "to the first node", "client agent", "server", "leader", "remote server", "remote leader"}, stages[0])
	require.Equal(t, "dc1 → dc1", stages[1][0])
	require.Equal(t, "–", stages[1][6], "of what is near there is nothing remote")
	require.Equal(t, []string{"way", "error", "effect", "came as far as", "operations"}, errors[0])
	found := map[string]bool{}
	for _, row := range errors[1:] {
		found[strings.Join(row[:4], ", ")] = true
	}
	require.True(t, found["dc1 → dc2, timeout, may have taken effect, server"], errors)
	require.True(t, found["dc2 → dc1, dc-failed, none, for certain, server"], errors)

	require.Contains(t, string(page), `class="datacenter"`, "lanes stand by datacenter")
	require.Contains(t, string(page), "Leadership changed never", "each datacenter's first leader is no change")

	one, err := HTML(validData(t, 20))
	require.NoError(t, err)
	require.NotContains(t, string(one), `id="forwarding"`)
	require.NotContains(t, string(one), `class="datacenter"`)
}

func TestARateIsNotRoundedUpToAll(t *testing.T) {
	require.Equal(t, "100 %", rate(checker.WayCounts{Asked: 7, Served: 7}))
	require.Equal(t, "99.99 %", rate(checker.WayCounts{Asked: 1_000_000, Served: 999_999}))
	require.Equal(t, "0.00 %", rate(checker.WayCounts{Asked: 7}))
	for r, want := range map[float64]string{1: "good", 0.9989: "fair", 0.98: "poor", 0.5: "bad"} {
		require.Equal(t, want, grade(r))
	}
}
