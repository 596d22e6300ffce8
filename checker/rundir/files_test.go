package rundir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, Write(dir, "f", "before"))
	require.NoError(t, Write(dir, "f", "after"))
	data, err := os.ReadFile(filepath.Join(dir, "f"))
	require.NoError(t, err)
	require.Equal(t, "after", string(data))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755))
	require.Error(t, Write(dir, "d", "a folder is in the way"))
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 2, "nothing is left beside")
}

func TestFilesOfKeys(t *testing.T) {
	long := strings.Repeat("k", 300)
	seen := map[string]string{}
	for _, key := range []string{"", "k1", "a/b", "a_b", "a.b", "A", "a", "ä", "../../etc/passwd", ".", "..", long, long + "1", "k1." + strings.Repeat("0", 16), "\x00"} {
		name := FileSafe(key)
		require.LessOrEqual(t, len(name), 100, "%q", key)
		require.NotContains(t, name, "/")
		require.NotEqual(t, ".", name[:1], "%q", key)
		require.Empty(t, seen[name], "%q and %q share %s", key, seen[name], name)
		seen[name] = "key " + key
	}
	require.Equal(t, "k1", FileSafe("k1"))
	require.NoError(t, Write(t.TempDir(), filepath.Join(PicturesDir, FileSafe(long)+".html"), "x"))
}
