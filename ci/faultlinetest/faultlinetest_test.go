package faultlinetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
)

func TestNames(t *testing.T) {
	for test, want := range map[string]string{"TestLocks": "testlocks", "TestA/b_C (2)": "testa-b-c-2", strings.Repeat("Ab", 60): strings.Repeat("ab", 30)} {
		require.Equal(t, want, name(test))
		require.NoError(t, faultline.Scenario{Name: name(test)}.Defaults().Validate())
	}
}

// mine is a test as somebody else would write it.
const mine = `package mine

import (
	"testing"
	"time"

	"faultline"
	"faultline/ci/faultlinetest"
)

func scenario(defects ...string) faultline.Scenario {
	return faultline.Scenario{Runtime: "local", Topology: "dc1-3", Defects: defects, Seed: 7, Rate: 200,
		Nemesis: []string{"kill"}, NemesisInterval: 3 * time.Second, TimeLimit: 10 * time.Second, Quiet: 2 * time.Second}
}

func TestAgent(t *testing.T) { faultlinetest.Run(t, scenario()) }

func TestBroken(t *testing.T) { faultlinetest.Run(t, scenario("DEFECT")) }

func TestFound(t *testing.T) { faultlinetest.Find(t, scenario("DEFECT")) }
`

// A module of somebody else's, outside of the checkout, plays scenarios.
func TestInAnotherModule(t *testing.T) {
	Offered(t, faultline.Scenario{Runtime: "local"})
	here, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	module := reflect.TypeFor[faultline.Scenario]().PkgPath()
	own, err := os.ReadFile(filepath.Join(here, "go.mod"))
	require.NoError(t, err)
	_, requirements, found := strings.Cut(string(own), "\nrequire ")
	require.True(t, found)
	write("go.mod", "module example.com/mine\n\ngo 1.26\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+here+"\n\nrequire "+requirements)
	sums, err := os.ReadFile(filepath.Join(here, "go.sum"))
	require.NoError(t, err)
	write("go.sum", string(sums))
	write("mine_test.go", strings.ReplaceAll(mine, "DEFECT", "stale-follower-read"))
	cmd := exec.Command("go", "test", "-mod=mod", "-trimpath", "-vet=off", "-v", "-artifacts", "-outputdir", dir, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0") // as the Makefile has it, so that there is less to compile
	out, err := cmd.CombinedOutput()
	said := string(out)
	require.Error(t, err, said)
	require.Contains(t, said, "--- PASS: TestAgent")
	require.Contains(t, said, "--- PASS: TestFound")
	require.Contains(t, said, "--- FAIL: TestBroken")
	require.Contains(t, said, "✗ INVALID  testbroken", "what went wrong is said")
	require.Contains(t, said, "linearizable: ")
	_, rest, found := strings.Cut(said, "the run directory is ")
	require.True(t, found, said)
	kept, _, _ := strings.Cut(rest, " (go test")
	require.FileExists(t, filepath.Join(kept, "report.html"))
}
