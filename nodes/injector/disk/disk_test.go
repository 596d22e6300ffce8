//go:build linux

package disk

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsSyncedStaysAndTheRestIsLost(t *testing.T) {
	m := mountedDisk(t)
	m.write(t, "a", "one")
	m.sync(t, "a")
	m.sync(t, ".")
	m.write(t, "a", "two")
	m.write(t, "b", "new")
	require.Equal(t, "two", m.content(t, "a"))
	loss := m.lose(t)
	require.Equal(t, "one", m.content(t, "a"))
	require.NoFileExists(t, m.path("b"))
	require.Contains(t, loss.Files, "a")
	entries, err := os.ReadDir(m.at)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
