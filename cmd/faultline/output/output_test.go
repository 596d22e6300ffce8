package output_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/cmd/faultline/output"
)

var update = flag.Bool("update", false, "rewrite testdata")

var run = output.Run{
	Scenario: "partitions", Seed: 7, Verdict: checker.Invalid, Directory: "store/partitions/20261126T120000.000Z",
	Results: []output.Result{{Checker: "linearizable", Verdict: checker.Invalid, Summary: "a value <twice>",
		Reasons: []string{"key k0"}, Metrics: []output.Metric{{Name: "search", Value: 3, Unit: "s"}},
		Counterexamples: []output.Counterexample{{Key: "k0", Why: "a stale read", Of: 9, Picture: "linearizability/k0.html", Operations: []output.Operation{
			{ID: 1, Process: 5, Node: "dc1-s1", Operation: "write", Mode: "default", Key: "k0", Input: json.RawMessage("1"), Output: json.RawMessage("1"),
				InvokedSeconds: 1.25, ReturnedSeconds: new(1.5), Type: "ok", ModifyIndex: 4},
			{ID: 2, Process: 6, Node: "dc1-s2", Operation: "write", Key: "k0", InvokedSeconds: 1.5, Type: "info", Error: "timeout"}}}}}},
	Command: "faultline test store/partitions/20261126T120000.000Z/scenario.yaml",
	Started: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), LengthSeconds: 30.5, Runtime: "local", System: "agent",
	Notes: []string{"interrupted by the user"}, Versions: map[string]string{"go": "go1.26.8"},
}

// documents has a value in every field.
var documents = map[string]any{
	"catalogue": output.Catalogue{
		"faults":     {{Name: "kill", Doc: "Ends processes.", Needs: []string{"process-kill"}, Family: "kill", Targets: []string{"one"}, Options: []string{"term"}}},
		"runtimes":   {{Name: "local", Doc: "a process a node", Capabilities: []string{"link-drop"}}},
		"topologies": {{Name: "dc1-3"}},
		"defects":    {{Name: "no-fsync", Doc: "does not sync", SeenIn: "a report"}},
	},
	"doctor": output.Doctor{Failing: 1,
		Findings: []output.Finding{{Name: "platform", OK: true, Need: "every-run", Text: "linux/amd64"}},
		Trials: []output.Trial{{Runtime: "local", Fault: "kill one", OK: true, Asked: "killed", Measured: "killed", Healed: "running", TookSeconds: 0.5},
			{Runtime: "local", Fault: "pause one", Error: "not permitted"}}},
	"run":   run,
	"suite": output.Suite{Name: "ci/smoke", Verdict: checker.Invalid, Runs: []output.Run{run}, Missing: 2, Stopped: "interrupted"},
	"proofs": output.Proofs{Verdict: checker.Invalid, Caught: 1, FalseAlarms: 1, Proofs: []output.Proof{
		{Scenario: "partitions", Defects: []string{"no-fsync"}, Caught: true, With: []output.Run{run}, Without: run}}},
	"gossip-model": output.GossipModel{Members: 10, Loss: .1, DelaySeconds: .001, Pools: []output.GossipPool{{Timing: "lan", Runs: 2, LeftOut: .1, ModelLate: 1,
		Times:            []output.GossipTime{{What: "crash suspected", BoundSeconds: []*float64{new(1.5), nil}, ModelSeconds: []*float64{new(1.25)}}},
		SuspicionsPerDay: 1.5, FalseDeathsPerDay: .5, ModelFalseDeaths: 1, BytesPerSecond: 200, BroadcastBytes: 1000}}},
	"version": output.Version{Version: "v1.2.3", Revision: "abc", Modified: true, Go: "go1.26.8", Platform: "linux/amd64",
		RunDirectoryFormat: 2, Modules: map[string]string{"github.com/hashicorp/raft": "v1.8.0"}},
}

// Others parse these documents: a field that is renamed or gone shows here.
func TestDocumentsStayAsTheyAre(t *testing.T) {
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			text, err := output.Encode(document)
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(text), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), text, "if it only has more fields: go test ./cmd/faultline/output -update")

			back := reflect.New(reflect.TypeOf(document))
			require.NoError(t, json.Unmarshal([]byte(text), back.Interface()))
			require.Equal(t, document, back.Elem().Interface(), "a program in Go reads what was written")
		})
	}
}

func TestNamesOfFieldsAreInSnakeCase(t *testing.T) {
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	fields := 0
	for _, document := range documents {
		for _, name := range names(reflect.TypeOf(document)) {
			require.Regexp(t, snake, name)
			fields++
		}
	}
	require.Greater(t, fields, 60)
}

// names lists the fields of a type and of those in it, as JSON names them.
func names(of reflect.Type) (all []string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return names(of.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if of.PkgPath() != reflect.TypeFor[output.Run]().PkgPath() {
		return nil
	}
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(append(all, name), names(field.Type)...)
	}
	return all
}

func TestNoTerminalObeysADocument(t *testing.T) {
	text, err := output.Encode(output.Suite{Name: "a\x1b[2J\u009b31m\x7f\u202ez\n"})
	require.NoError(t, err)
	require.Contains(t, text, `"a\u001b[2J\u009b31m\u007f\u202ez\n"`)
	var back output.Suite
	require.NoError(t, json.Unmarshal([]byte(text), &back))
	require.Equal(t, "a\x1b[2J\u009b31m\x7f\u202ez\n", back.Name)
}

func ExampleEncode() {
	text, err := output.Encode(output.Finding{Name: "platform", OK: true, Need: "every-run", Text: "linux/amd64"})
	if err != nil {
		panic(err)
	}
	fmt.Print(text)
	// Output:
	// {
	//   "name": "platform",
	//   "ok": true,
	//   "need": "every-run",
	//   "text": "linux/amd64"
	// }
}
