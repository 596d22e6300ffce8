package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/cmd/faultline/output"
)

// A sweep is interrupted in its second cell, and played to its end by the same command; what the first
// cell was found to be stays.
func TestASweepIsInterruptedAndGoesOn(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	scenario := localScenario(t, "swept", "time-limit: 4s\nservice-levels: [{success: 0.5}]\n")
	args := []string{"sweep", "--json", "--store", store, scenario, "--vary", "rate=60,90"}
	h := start(t, nil, args...)
	h.await("rate=60: valid; 1 of 2 cells are missing")
	h.await("starting 3 nodes on local")
	h.signal(os.Interrupt)
	require.Equal(t, exitUnknown, h.exits(), h.said())
	cut := decode[output.Sweep](t, h.stdout.String())
	require.Equal(t, 1, cut.Missing)
	require.Contains(t, cut.Stopped, "interrupted")
	require.Equal(t, checker.Valid, cut.Cells[0].ServiceLevel)
	page, err := os.ReadFile(filepath.Join(cut.Directory, "index.html"))
	require.NoError(t, err)
	require.Contains(t, string(page), "1 of 2 cells have no verdict: ")

	h = start(t, nil, args...)
	require.Equal(t, exitValid, h.exits(), h.said())
	require.NotContains(t, h.said(), "rate=60: ", "it was played")
	whole := decode[output.Sweep](t, h.stdout.String())
	require.Zero(t, whole.Missing)
	require.Equal(t, cut.Cells[0], whole.Cells[0])
	require.Equal(t, cut.Seed, whole.Seed)
	require.Greater(t, whole.Cells[1].All.Asked, whole.Cells[0].All.Asked)
	code, _ := finish(t, "analyze", filepath.Join(whole.Directory, whole.Cells[1].Run))
	require.Equal(t, exitValid, code)
}
