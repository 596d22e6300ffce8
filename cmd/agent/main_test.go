package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent"
)

func TestFlags(t *testing.T) {
	o, err := parse([]string{"-server", "-bootstrap-expect", "3", "-datacenter", "east", "-node", "a", "-bind", "10.0.0.1",
		"-advertise", "10.0.0.2", "-client", "0.0.0.0", "-retry-join", "10.0.0.3", "-retry-join", "10.0.0.4:9000",
		"-data-dir", "/data", "-raft-multiplier", "5", "-log-level", "debug", "-http-port", "1", "-server-port", "2",
		"-serf-lan-port", "3", "-remove-dead", "-session-ttl-min", "2s", "-raft-snapshot-threshold", "7", "-raft-trailing-logs", "8", "-raft-snapshot-interval", "9s", "-gossip-profile", "fast", "-defect", agent.AckBeforeCommit}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, options{dir: "/data", level: slog.LevelDebug, config: agent.Config{
		Server: true, BootstrapExpect: 3, DC: "east", Name: "a", Bind: netip.MustParseAddr("10.0.0.1"),
		Advertise: netip.MustParseAddr("10.0.0.2"), Client: netip.MustParseAddr("0.0.0.0"),
		RetryJoin: []string{"10.0.0.3", "10.0.0.4:9000"}, RaftMultiplier: 5, HTTPPort: 1, ServerPort: 2, SerfPort: 3,
		RemoveDead: true, SessionTTLMin: 2 * time.Second, GossipProfile: "fast", DefectNames: []string{agent.AckBeforeCommit},
		Snapshots: agent.SnapshotAge{Threshold: 7, Trailing: 8, Interval: 9 * time.Second}}}, o)
}

func TestBadFlags(t *testing.T) {
	for text, args := range map[string][]string{
		"-data-dir is missing": {"-node", "a"},
		"unexpected argument":  {"-data-dir", "d", "extra"},
		"is no port":           {"-http-port", "0"},
		"unable to parse IP":   {"-bind", "host"},
		"not defined":          {"-unknown"},
	} {
		_, err := parse(args, io.Discard)
		require.ErrorContains(t, err, text)
	}
}

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
