package nemesis

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// golden compares a text with testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test ./nemesis -update writes it")
	require.Equal(t, string(want), got, "go test ./nemesis -update accepts the change")
}

func layout(t testing.TB, name string) topologies.Topology {
	t.Helper()
	topology, err := topologies.Load(name)
	require.NoError(t, err)
	return topology
}

func parse(t testing.TB, text string) Schedule {
	t.Helper()
	s, err := Parse("test.yaml", []byte(text))
	require.NoError(t, err)
	return s
}
