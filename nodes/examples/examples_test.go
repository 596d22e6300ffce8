// Package examples tests what stands beside it: systems that files describe, and the programs that they name.
package examples

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/nodes/declared"
	"faultline/nodes/local"
	"faultline/nodes/programs"
	"faultline/nodes/systemtest"
)

const requireLocal = "FAULTLINE_REQUIRE_LOCAL"

// needPython skips a test where the examples' interpreter is missing, unless requireLocal is set.
func needPython(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/bin/python3"); errors.Is(err, fs.ErrNotExist) && os.Getenv(requireLocal) != "1" {
		t.Skip("needs /usr/bin/python3")
	}
}

// play runs a short scenario on local, and repeats nothing.
func play(t *testing.T, s faultline.Scenario) faultline.Outcome {
	t.Helper()
	if err := local.New().Check(t.Context()); err != nil && os.Getenv(requireLocal) != "1" {
		t.Skip("needs local: ", err)
	}
	s.Runtime, s.Seed, s.TimeLimit, s.Quiet = "local", 1, cmp.Or(s.TimeLimit, 7*time.Second), 2*time.Second
	outcome, err := faultline.Run(t.Context(), s, faultline.Options{Store: t.TempDir()})
	require.NoError(t, err)
	return outcome
}

func steps(t *testing.T, text string) nemesis.Steps {
	t.Helper()
	schedule, err := nemesis.Parse("steps", []byte("steps:\n"+text))
	require.NoError(t, err)
	return schedule.Steps
}

func result(t *testing.T, o faultline.Outcome, name string) checker.Result {
	t.Helper()
	for _, r := range o.Results {
		if r.Checker == name {
			return r
		}
	}
	t.Fatalf("no checker %s", name)
	return checker.Result{}
}

// What the guide says of the two examples.
func TestTheExampleIsRightAndItsTwinIsNot(t *testing.T) {
	needPython(t)
	for name, want := range map[string]checker.Verdict{"kv": checker.Valid, "kv-buggy": checker.Invalid} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := play(t, faultline.Scenario{Name: name, System: name + ".yaml", Rate: 150, TimeLimit: 12 * time.Second,
				Steps: steps(t, "  - {at: 0, for: 8s, fault: partition, target: primary}\n")})
			require.Equal(t, want, o.Verdict, "%+v", o.Results)
			linearizable := result(t, o, "linearizable")
			require.Equal(t, want, linearizable.Verdict)
			require.Equal(t, want == checker.Invalid, len(linearizable.Counterexamples) > 0)
			require.Equal(t, checker.NotApplicable, result(t, o, "index").Verdict)
			require.Equal(t, checker.Valid, result(t, o, "nodes").Verdict, "and every server knew a leader")
		})
	}
}

// A run of a file's system repeats from its directory alone, wherever the file was.
func TestARunRepeatsFromItsDirectory(t *testing.T) {
	needPython(t)
	o := play(t, faultline.Scenario{Name: "again", System: "kv.yaml", Rate: 150, MinOps: 10})
	stored, err := faultline.LoadScenario(filepath.Join(o.Dir, "scenario.yaml"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(o.Dir, "system.yaml"), stored.System)
	injector, err := programs.Injector.Path(t.Context())
	require.NoError(t, err)
	t.Setenv(programs.Injector.Env, injector)
	t.Chdir(t.TempDir())
	require.NoError(t, faultline.Check(t.Context(), []faultline.Scenario{stored}, faultline.Options{}))
	system, err := declared.Load(stored.System, nil)
	require.NoError(t, err)
	require.NoError(t, system.Ready(t.Context()))
}

func TestSystem(t *testing.T) {
	needPython(t)
	systemtest.Test(t, systemtest.Subject{Runtime: local.New(), Require: requireLocal, System: func() nodes.System {
		system, err := declared.Load("kv.yaml", nil)
		require.NoError(t, err)
		return system
	}})
}

// The reference agent is described by a file, too: it speaks Consul's API, and its flags are templates.
func TestTheReferenceAgentByAFile(t *testing.T) {
	t.Parallel()
	path, err := programs.Agent.Path(t.Context())
	require.NoError(t, err)
	quoted, err := json.Marshal(path)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "small-consul.yaml")
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(`
name: small-consul
program: %s
args:
  - -server
  - -node={{.Self.Name}}
  - -bind={{.Self.Addr}}
  - -client=0.0.0.0
  - -data-dir={{.Self.Dir}}
  - -bootstrap-expect={{len .Servers}}
  - -raft-multiplier={{.Settings.multiplier}}
  - |
    {{range .Others}}-retry-join={{.Addr}}
    {{end}}
settings: {multiplier: 5}
port: 8500
api: consul-kv
leader: {path: /v1/status/leader, matches: '"(.*):8300"', says: address}
`, quoted)), 0o644))
	o := play(t, faultline.Scenario{Name: "by-file", System: file, Settings: map[string]any{"multiplier": 1}, RecoverWithin: 20 * time.Second,
		Steps: steps(t, "  - {at: 0, for: 2s, fault: kill, target: one}\n")})
	require.Equal(t, checker.Valid, o.Verdict, "%+v", o.Results)
	require.Equal(t, checker.Valid, result(t, o, "index").Verdict)
	require.Equal(t, checker.NotApplicable, result(t, o, "raft").Verdict)
}

// The guide shows the file that stands beside it.
func TestTheGuideShowsTheExample(t *testing.T) {
	guide, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text, err := os.ReadFile("kv.yaml")
	require.NoError(t, err)
	_, shown, found := strings.Cut(string(text), "\n") // after the line for editors
	require.True(t, found)
	require.Contains(t, string(guide), "```yaml\n"+shown+"```\n")
	buggy, err := os.ReadFile("kv-buggy.yaml")
	require.NoError(t, err)
	require.Contains(t, string(buggy), "  - --cache\n")
}
