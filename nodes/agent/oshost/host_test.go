package oshost

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHost(t *testing.T) {
	h, err := New(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	before := h.Monotonic()
	listener, err := h.Listen("127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	conn, err := h.Dial(context.Background(), listener.Addr().String())
	require.NoError(t, err)
	said, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "hello", string(said))
	require.NoError(t, conn.Close())
	require.NoError(t, listener.Close())

	packets, err := h.ListenPacket("127.0.0.1:0")
	require.NoError(t, err)
	_, err = packets.WriteTo([]byte("x"), packets.LocalAddr())
	require.NoError(t, err)
	n, _, err := packets.ReadFrom(make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, packets.Close())

	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = h.Dial(ended, listener.Addr().String())
	require.ErrorIs(t, err, context.Canceled)
	require.Greater(t, h.Monotonic(), before)
}

func TestDirectoryThatIsNone(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(name, nil, 0o644))
	_, err := New(name, slog.New(slog.DiscardHandler))
	require.Error(t, err)
}
