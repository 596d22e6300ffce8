package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/nemesis"
	"faultline/nodes/faults"
	"faultline/topologies"
)

func TestDoctorTriesEveryFaultForReal(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	h := start(t, nil, "doctor", "--deep", "--store", t.TempDir())
	code := h.exits()
	out := h.stdout.String()
	offered := len(regexp.MustCompile(`(?m)^trying every fault on`).FindAllString(out, -1))
	require.Positive(t, offered, out)
	layout, err := topologies.Load("dc1-3")
	require.NoError(t, err)
	for _, step := range nemesis.Trials(layout) {
		can := func(need faults.Capability) bool { return slices.Contains(faultline.AllCapabilities(), need) }
		if needs := (nemesis.Schedule{Steps: []nemesis.Step{step}}).Needs(layout); slices.ContainsFunc(needs, func(c faults.Capability) bool { return !can(c) }) {
			continue
		}
		require.Equal(t, offered, strings.Count(out, "ok    "+step.Label()+" ("), "%s\n%s", step.Label(), out)
	}
	require.Contains(t, out, "TCP refused")
	require.Contains(t, out, "of 200 datagrams lost (")
	if offered == len(faultline.Default().Runtimes) {
		require.Equal(t, exitValid, code, out)
	}
	require.Empty(t, h.leftovers(engine))
}
