package flags

import (
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent"
)

func TestFlags(t *testing.T) {
	o, err := Parse([]string{"-server", "-bootstrap-expect", "3", "-datacenter", "east", "-node", "a", "-bind", "10.0.0.1",
		"-advertise", "10.0.0.2", "-client", "0.0.0.0", "-retry-join", "10.0.0.3", "-retry-join", "10.0.0.4:9000",
		"-data-dir", "/data", "-raft-multiplier", "5", "-log-level", "debug", "-http-port", "1", "-server-port", "2",
		"-serf-lan-port", "3", "-remove-dead", "-session-ttl-min", "2s", "-raft-snapshot-threshold", "7", "-raft-trailing-logs", "8", "-raft-snapshot-interval", "9s", "-gossip-profile", "fast", "-defect", agent.AckBeforeCommit}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, Options{Dir: "/data", Level: slog.LevelDebug, Config: agent.Config{
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
		_, err := Parse(args, io.Discard)
		require.ErrorContains(t, err, text)
	}
}

// Whatever is on a command line, it is refused or understood.
func FuzzParse(f *testing.F) {
	f.Add("-server -bootstrap-expect 3 -node a -bind 10.0.0.1 -data-dir /data -retry-join 10.0.0.2")
	f.Add("-http-port 70000 -bind :: -raft-snapshot-interval -1s -help")
	f.Fuzz(func(t *testing.T, line string) {
		o, err := Parse(strings.Fields(line), io.Discard)
		require.True(t, err != nil || o.Dir != "" && o.Config.Name != "")
	})
}
