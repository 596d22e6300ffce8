package podstest

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
)

func testStrangers(t *testing.T, s Subject, c nodes.Cluster) {
	own, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	require.Contains(t, listening(t), own.Addr().String(), "what this process listens on is found")
	require.NoError(t, own.Close())

	Ask(t, c, S1)
	addresses := listening(t)
	if s.Outside != nil {
		addresses = append(addresses, s.Outside(c, S1)...)
	}
	for _, address := range addresses {
		for _, first := range []string{"", strings.Repeat("\x00", 32), strings.Repeat("f", 64)} {
			require.Empty(t, knock(address, first), "at %s with %q", address, first)
		}
	}
	require.Equal(t, 1, Ask(t, c, S1).Starts, "and the harness's own client is let in")
}

// knock is what a stranger reads who connects, says a word, and asks for the node's page.
func knock(addr, first string) string {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%sGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", first)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	read, _ := io.ReadAll(conn) // a reset or silence is what we hope for
	return string(read)
}

// listening lists the addresses that this process listens on by TCP, as the others of this
// machine find them. /proc/net/tcp is described in proc_net_tcp.rst of the kernel.
func listening(t testing.TB) (addrs []string) {
	ours := map[string]bool{}
	fds, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil { // else it was the Glob's own
			ours[to] = true
		}
	}
	table, err := os.ReadFile("/proc/self/net/tcp")
	require.NoError(t, err)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		const local, state, inode, isListening = 1, 3, 9, "0A"
		if fields[state] != isListening || !ours["socket:["+fields[inode]+"]"] {
			continue
		}
		ip, port, _ := strings.Cut(fields[local], ":")
		rawIP, err := hex.DecodeString(ip)
		require.NoError(t, err)
		rawPort, err := hex.DecodeString(port)
		require.NoError(t, err)
		host := binary.NativeEndian.AppendUint32(nil, binary.BigEndian.Uint32(rawIP))
		addrs = append(addrs, fmt.Sprintf("%s:%d", net.IP(host), binary.BigEndian.Uint16(rawPort)))
	}
	return addrs
}

// attempt is one way in which a node tried to reach its injector.
type attempt struct {
	What   string `json:"what"`
	Result string `json:"result"`
}

func testAttacks(t *testing.T, s Subject) {
	c := granted(t, s, "attack")
	Ask(t, c, S2)
	want := linkOf(S1, S2, faults.Link{Reject: true})
	want.SetClock([]string{S2}, faults.Clock{Offset: -48 * time.Hour})
	RequireConditions(t, c, want)

	answer, err := Web(c, S2).Get("http://" + S2 + "/attack")
	require.NoError(t, err)
	var tried []attempt
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&tried))
	require.NoError(t, answer.Body.Close())
	ended := map[string]string{}
	for _, a := range tried {
		ended[a.What] = a.Result
		t.Logf("%s: %.200q", a.What, a.Result)
	}
	requireMeasured(t, c, want)
	require.WithinDuration(t, time.Now().Add(-48*time.Hour), Ask(t, c, S2).Now, moment)
	for what, result := range ended {
		if !strings.Contains(result, `"apply"`) { // which only requests have: the probes' port gives back what it was sent
			require.NotContains(t, result, `"id"`, "%s: it was answered", what)
		}
		require.NotContains(t, what, "write to descriptor", "nothing is inherited")
		require.NotContains(t, result, "FAULTLINE", "%s: a secret of the pod", what)
	}
	for _, what := range []string{"read /proc/1/environ", "open /proc/1/root/", "open /proc/1/mem", "open /proc/1/fd/3", "open /proc/1/ns/mnt"} {
		require.Contains(t, ended[what], "permission denied", what)
	}
	require.Contains(t, ended["injector serve"], "no such file", "its socket is in a place that the node has not")
	require.Contains(t, fmt.Sprint(ended), "HOSTNAME="+S2, "it can read its own environment")

	killed := processOf(S2, faults.Killed)
	killed.Clocks, killed.Links = want.Clocks, want.Links
	RequireConditions(t, c, killed)
	RequireConditions(t, c, want)
	require.WithinDuration(t, time.Now().Add(-48*time.Hour), Ask(t, c, S2).Began, moment, "and true entries still count")
}
