package history

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHowAProcessEnded(t *testing.T) {
	require.Equal(t, "exit code 0", ProcessEvent{}.How())
	require.Equal(t, "exit code 2", ProcessEvent{Code: 2}.How())
	require.Equal(t, "SIGTERM", ProcessEvent{Signal: "SIGTERM"}.How())
	require.Equal(t, "SIGKILL (out of memory)", ProcessEvent{Signal: "SIGKILL", OutOfMemory: true}.How())
}
