package faultline

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/checker/promises"
	"faultline/nodes/agent"
	"faultline/workloads"
	"faultline/workloads/history"
)

var updatePromises = flag.Bool("update-promises", false, "write the table of promises into its README")

// The checkers that judge whether a run is fit for a verdict; none is ever invalid.
var ofTheRun = []string{"faults", "record", "load"}

func TestEveryOperationHasItsPromise(t *testing.T) {
	ops := map[history.Op]string{}
	for _, w := range workloads.All() {
		for _, op := range w.Ops {
			ops[op] = "workload " + w.Name
		}
	}
	for _, name := range []string{"agent", "etcd"} {
		s := Scenario{System: name, Settings: map[string]any{}}.Defaults()
		if name == "etcd" {
			s.Settings["binary"] = "/bin/true"
		}
		system, err := Default().system(s)
		require.NoError(t, err)
		for _, op := range system.Facts().Ops {
			ops[op] = "system " + name
		}
	}
	require.Greater(t, len(ops), 10)
	for op, who := range ops {
		require.NotEmpty(t, promises.Of(op), "%s has the operation %q, and the table of promises has no row of it", who, op)
	}
}

func TestEveryPromiseIsJudgedExercisedAndProved(t *testing.T) {
	judges := map[string][]string{} // checker: workloads
	for _, w := range workloads.All() {
		for _, c := range slices.Concat(w.Checkers, checker.All()) {
			judges[c.Name] = append(judges[c.Name], w.Name)
		}
	}
	proofs, err := LoadSuite("ci/prove")
	require.NoError(t, err)
	planted := map[string][]string{} // defect: workloads of its proofs
	for _, s := range proofs {
		for _, d := range s.Defects {
			planted[d] = append(planted[d], s.Workload)
		}
	}
	names, held, broken := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range promises.All {
		require.False(t, names[p.Name], "%s: twice", p.Name)
		names[p.Name] = true
		require.NotEmpty(t, p.Text)
		require.NotEmpty(t, p.Sources, p.Name)
		require.NotEmpty(t, judges[p.Checker], "%s: no checker %q", p.Name, p.Checker)
		held[p.Checker] = true
		if p.Workload != "" {
			require.Contains(t, judges[p.Checker], p.Workload, "%s: runs of the workload are not judged by %s", p.Name, p.Checker)
		}
		require.NotEmpty(t, p.Defects, "%s: nothing proves that it is judged", p.Name)
		for _, d := range p.Defects {
			broken[d] = true
			require.NotEmpty(t, planted[d], "%s: no scenario of ci/prove plants %q", p.Name, d)
			if p.Workload != "" {
				require.Contains(t, planted[d], p.Workload, "%s: no proof of %s has the workload", p.Name, d)
			}
		}
	}
	for name := range judges {
		_, unplanted := promises.Unplanted[name]
		require.True(t, held[name] || unplanted || slices.Contains(ofTheRun, name), "checker %s holds nobody to any promise", name)
		require.False(t, held[name] && unplanted, "checker %s has a defect", name)
	}
	for _, d := range agent.Defects {
		require.True(t, broken[d.Name], "the defect %s breaks no promise of the table", d.Name)
	}
}

// The README of the table is written from it.
func TestTheTableOfPromisesIsAsTheREADMESays(t *testing.T) {
	file := filepath.Join("checker", "promises", "README.md")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	const from, to = "<!-- the table: go test . -run Promises -update-promises -->\n", "<!-- end of the table -->"
	head, rest, ok := strings.Cut(string(text), from)
	require.True(t, ok)
	_, tail, ok := strings.Cut(rest, to)
	require.True(t, ok)
	want := head + from + promisesTable() + to + tail
	if *updatePromises {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "go test . -run Promises -update-promises")
}

func promisesTable() string {
	var b strings.Builder
	b.WriteString("| promise | of | checker | workload | planted defects |\n|---|---|---|---|---|\n")
	for _, p := range promises.All {
		var ops, defects, sources []string
		for _, op := range p.Ops {
			ops = append(ops, "`"+string(op)+"`")
		}
		for _, d := range p.Defects {
			defects = append(defects, "`"+d+"`")
		}
		for i, s := range p.Sources {
			if strings.HasPrefix(s, "https://") {
				s = fmt.Sprintf("[%d](%s)", i+1, s)
			}
			sources = append(sources, s)
		}
		of := strings.Join(ops, ", ")
		if of == "" {
			of = "the cluster"
		}
		workload := "any"
		if p.Workload != "" {
			workload = "`" + p.Workload + "`"
		}
		fmt.Fprintf(&b, "| **%s**: %s (%s) | %s | `%s` | %s | %s |\n", p.Name, p.Text, strings.Join(sources, ", "), of, p.Checker, workload, strings.Join(defects, ", "))
	}
	b.WriteString("\nWithout a planted defect:\n\n")
	for _, name := range slices.Sorted(maps.Keys(promises.Unplanted)) {
		fmt.Fprintf(&b, "- `%s`: %s.\n", name, promises.Unplanted[name])
	}
	return b.String()
}
