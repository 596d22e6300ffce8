package faultline

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes/local"
)

// TestSerializableReadsOfARealEtcdAreInvalid runs what ci/known says of etcd: the one promise that it does not
// make is found broken, and none of the others.
func TestSerializableReadsOfARealEtcdAreInvalid(t *testing.T) {
	t.Parallel()
	binary := os.Getenv("FAULTLINE_ETCD")
	if binary == "" {
		t.Skip("FAULTLINE_ETCD names no etcd; ci/etcd-binary.sh builds one")
	}
	if err := local.New().Check(t.Context()); err != nil {
		if os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "" {
			t.Fatalf("FAULTLINE_REQUIRE_LOCAL is set, but: %v", err)
		}
		t.Skip(err)
	}
	s, err := LoadScenario("ci/known/etcd-serializable-reads.yaml")
	require.NoError(t, err)
	s.Runtime, s.Settings = "local", map[string]any{"binary": binary}
	outcome, err := Run(t.Context(), s, Options{Store: t.TempDir()})
	require.NoError(t, err)
	for _, r := range outcome.Results {
		switch r.Checker {
		case "linearizable":
			require.Equal(t, checker.Invalid, r.Verdict, r.Summary)
		case "index": // sees it only where the old data holds the key: a key that is absent there has no index
			require.Contains(t, []checker.Verdict{checker.Valid, checker.Invalid}, r.Verdict, r.Summary)
		default: // copies does not apply where clients read from copies, nor others where a run is too short
			require.Contains(t, []checker.Verdict{checker.Valid, checker.NotApplicable}, r.Verdict, "%s: %s", r.Checker, r.Summary)
		}
	}
}

func TestSettingsOfEtcd(t *testing.T) {
	for settings, words := range map[string]string{
		"settings: {binaries: x}":                       "binaries",
		"settings: {heartbeat: 100ms, election: 300ms}": "election 300ms",
		"raft-multiplier: 2":                            "raft-multiplier is for the reference agent, and the system is etcd",
		"topology: dc1-3c2":                             "the system etcd has none",
		"mode: stale":                                   "mode \"stale\" is none of the system etcd",
	} {
		s, err := ParseScenario("s.yaml", []byte("system: etcd\n"+settings))
		require.NoError(t, err)
		require.ErrorContains(t, Check(t.Context(), []Scenario{s}, Options{Store: t.TempDir()}), words)
	}
}
