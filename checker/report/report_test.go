package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	update = flag.Bool("update", false, "write the golden files anew")
	keep   = flag.String("keep", "", "directory in which to keep the pages, to look at them")
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run with -update to make it")
	require.Equal(t, string(want), got)
}

func keepPage(t *testing.T, name string, page []byte) {
	t.Helper()
	if *keep != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*keep, name), page, 0o644))
	}
}

func TestPagesOfRealisticRuns(t *testing.T) {
	for name, d := range map[string]Data{"valid.html": validData(t, 450), "invalid.html": invalidData(t, 450), "huge.html": validData(t, 1200)} {
		t.Run(name, func(t *testing.T) {
			got, err := HTML(d)
			require.NoError(t, err)
			keepPage(t, name, got)
			t.Logf("%d operations, %d bytes", len(d.Run.Ops), len(got))
			require.Greater(t, len(d.Run.Ops), 20_000)
			require.Less(t, len(got), 2<<20)
		})
	}
}
