package strict

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	file, fifo, link, big := filepath.Join(dir, "file"), filepath.Join(dir, "fifo"), filepath.Join(dir, "link"), filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(file, []byte("a: 1\n"), 0o600))
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, os.WriteFile(big, nil, 0o600))
	require.NoError(t, os.Truncate(big, most+1))
	for _, name := range []string{file, link} {
		data, err := ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, "a: 1\n", string(data))
	}
	for name, says := range map[string]string{fifo: "but a FIFO", dir: "but a directory", "/dev/zero": "but a device or socket",
		big: "is larger than 16 MiB", filepath.Join(dir, "absent"): "no such file"} {
		_, err := ReadFile(name)
		require.ErrorContains(t, err, says)
	}
}
