package podstest

import (
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

func requireStart(t *testing.T, c nodes.Cluster, node string, want nodes.StartKind) {
	t.Helper()
	about := Ask(t, c, node)
	require.Equal(t, string(want), about.Kind, node)
	require.Equal(t, string(want)+" of "+node+"\n(<nil>)", about.File)
}

func testStarts(t *testing.T, s Subject) {
	Need(t, s)
	const spare = "dc1-x1"
	with := spec(t, "starts", "dc1-3x2")
	with.Baseline = with.Topology.Baseline()
	refuse := false
	with.System = System{Refuse: func(s nodes.Start) error {
		if s.Self.Name == S3 && refuse {
			return errors.New("it has no seat")
		}
		return nil
	}}
	c := start(t, s, with)
	requireStart(t, c, S1, nodes.Founder)
	for _, step := range []struct {
		node  string
		state faults.ProcessState
		then  nodes.StartKind
	}{
		{S1, faults.Killed, nodes.Again},
		{S2, faults.Wiped, nodes.Fresh},
		{S2, faults.Killed, nodes.Again},
		{spare, faults.Wiped, nodes.Joiner},
		{spare, faults.Killed, nodes.Again},
		{spare, faults.Wiped, nodes.Joiner},
	} {
		want := with.Baseline.Clone()
		want.Processes[step.node] = step.state // whatever the baseline has
		require.NoError(t, c.Set(t.Context(), want))
		delete(want.Processes, step.node)
		require.NoError(t, c.Set(t.Context(), want))
		requireStart(t, c, step.node, step.then)
	}
	down := with.Baseline.Clone()
	down.SetProcess([]string{S3}, faults.Killed)
	require.NoError(t, c.Set(t.Context(), down))
	refuse = true
	require.ErrorContains(t, c.Set(t.Context(), with.Baseline), "how to start dc1-s3 (again): it has no seat")
	refuse = false
	require.NoError(t, c.Set(t.Context(), with.Baseline))
	requireStart(t, c, S3, nodes.Again)
}

// family asks a node for its children.
func family(t *testing.T, c nodes.Cluster, node string) (all struct{ Pids, Gap string }) {
	t.Helper()
	answer, err := Web(c, node).Get("http://" + node + "/family")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&all))
	return all
}

func testChildren(t *testing.T, s Subject) {
	c := Up(t, s, "children")
	Ask(t, c, S1)
	require.Empty(t, family(t, c, S1).Pids)
	Tell(t, c, S1, "/child")
	require.Eventually(t, func() bool { return family(t, c, S1).Gap != "" }, 10*time.Second, 10*time.Millisecond)
	require.Len(t, strings.Fields(family(t, c, S1).Pids), 1)

	const pause = 700 * time.Millisecond
	RequireConditions(t, c, processOf(S1, faults.Paused))
	time.Sleep(pause)
	RequireConditions(t, c, faults.Conditions{})
	require.Eventually(t, func() bool {
		gap, err := time.ParseDuration(family(t, c, S1).Gap)
		return err == nil && gap >= pause
	}, 10*time.Second, 10*time.Millisecond, "the child did not stop")

	RequireConditions(t, c, processOf(S1, faults.Killed))
	RequireConditions(t, c, faults.Conditions{})
	Ask(t, c, S1)
	require.Empty(t, family(t, c, S1).Pids, "the child did not end")
}

// testImages runs a program of the machine that is linked dynamically.
func testImages(t *testing.T, s Subject) {
	Need(t, s)
	const program = "/bin/cat"
	_, err := os.Stat(program)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "of-the-machine")
	require.NoError(t, os.WriteFile(file, []byte("said by a file"), 0o644))
	with := Spec(t, "images")
	with.System = System{Files: []string{program, file}}
	c := start(t, s, with)
	Ask(t, c, S1)
	answer, err := Web(c, S1).Get("http://" + S1 + "/run?program=" + program + "&arg=" + url.QueryEscape(file))
	require.NoError(t, err)
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "said by a file(<nil>)", string(said))
}
