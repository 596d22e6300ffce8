package agent

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/oshost"
)

func TestNodeIDStays(t *testing.T) {
	dir := t.TempDir()
	host, err := oshost.New(dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	first, err := nodeID(host.Disk(), (&Agent{host: host}).newUUID)
	require.NoError(t, err)
	require.Regexp(t, uuid, first)
	second, err := nodeID(host.Disk(), (&Agent{host: host}).newUUID)
	require.NoError(t, err)
	require.Equal(t, first, second)

	require.NoError(t, os.WriteFile(filepath.Join(dir, idFile), []byte("half"), 0o644))
	_, err = nodeID(host.Disk(), (&Agent{host: host}).newUUID)
	require.ErrorContains(t, err, "no UUID", "a damaged identity is never replaced by a new one")
}
