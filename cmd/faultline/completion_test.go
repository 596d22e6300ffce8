package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker/rundir"
)

// ask runs a command that ends at once in this process.
func ask(t *testing.T, args ...string) string {
	t.Helper()
	stop := listen()
	defer stop.close()
	var out bytes.Buffer
	root, err := rootCommand(stop, &out)
	require.NoError(t, err)
	root.SetErr(&bytes.Buffer{})
	root.SetArgs(args)
	require.NoError(t, root.Execute())
	return out.String()
}

func TestEveryShellGetsAScript(t *testing.T) {
	for shell, line := range map[string]string{"bash": "__start_faultline faultline", "zsh": "#compdef faultline",
		"fish": "complete -c faultline", "powershell": "Register-ArgumentCompleter"} {
		require.Contains(t, ask(t, "completion", shell), line)
	}
}

// A shell that asks gets the names of all that there is, and learns what it may offer itself.
func TestNamesAreCompleted(t *testing.T) {
	const (
		files   = ":0\n"
		none    = ":4\n"
		noSpace = ":6\n"
		folders = ":16\n"
		yaml    = "yaml\nyml\n:8\n"
	)
	for _, c := range []struct {
		line      string // a dot is an empty word
		has, not  string
		directive string // how the answer ends
	}{
		{"test --topology dc1-5", "\ndc1-5c2x2\n", "dc1-3", files},
		{"test --runtime .", "auto\tthe first that this machine offers\n", "", none},
		{"test --runtime .", "\nlocal\t", "", none},
		{"test --system .", "agent\t", "", none},
		{"test --workload .", "\nregister\t", "", none},
		{"test --mode .", "\nstale\tby whoever is asked, as old as that is\nlinearizable\t", "", none},
		{"prove --defect no-", "no-fsync\t", "stale-follower-read", noSpace},
		{"test --nemesis kill,pa", "kill,partition\t", "kill,kill", noSpace},
		{"schedule make --nemesis .", "\nkill\t", "", noSpace},
		{"schedule show --topology dc1-5far", "dc1-5far\n", "dc1-3", files},
		{"sweep --vary wan.l", "\nwan.loss=\n", "rate", noSpace},
		{"sweep --vary r", "rate=\n", "nemesis", noSpace},
		{"sweep .", "", "", yaml},
		{"list fa", "families\nfaults\n", "defects", none},
		{"test --schedule .", "", "", yaml},
		{"test .", "", "", yaml},
		{"prove .", "", "", yaml},
		{"schedule make .", "", "", yaml},
		{"schedule show .", "", "", yaml},
		{"test one .", "", "yaml", none},
		{"test --store .", "", "", folders},
		{"test --keep .", "", "", folders},
		{"test --rate .", "", "", none},
	} {
		args := []string{"__complete"}
		for word := range strings.FieldsSeq(c.line) {
			args = append(args, strings.TrimSuffix(word, "."))
		}
		answer := "\n" + ask(t, args...)
		require.Contains(t, answer, c.has, c.line)
		require.True(t, strings.HasSuffix(answer, "\n"+c.directive), "%s: %s", c.line, answer)
		if c.not != "" {
			require.NotContains(t, answer, c.not, c.line)
		}
	}
}

func TestRunsOfTheStoreThatIsOnTheLineAreCompleted(t *testing.T) {
	store := filepath.Join(t.TempDir(), "kept")
	dir, _, err := rundir.Create(store, "here")
	require.NoError(t, err)
	require.NoError(t, rundir.Write(dir, rundir.ScenarioFile, "name: here\n"))
	empty, _, err := rundir.Create(store, "here")
	require.NoError(t, err)
	answer := ask(t, "__complete", "analyze", "--store", store, "")
	require.Equal(t, dir+"\n:0\n", answer)
	require.NotContains(t, answer, empty)
}
