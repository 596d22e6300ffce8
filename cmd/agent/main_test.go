package main

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent"
)

func TestHelpListsTheDefects(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), []string{"-help"}, &out))
	for _, d := range agent.Defects {
		require.Contains(t, out.String(), d.Name)
	}
}

func TestUnknownDefect(t *testing.T) {
	err := run(context.Background(), []string{"-data-dir", t.TempDir(), "-node", "a", "-bind", "127.0.0.1", "-defect", "x"}, io.Discard)
	require.ErrorContains(t, err, `no defect "x"`)
}
