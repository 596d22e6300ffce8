package injector

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"github.com/google/nftables"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

// ownNetns puts the calling goroutine, and its thread for good, into a network namespace
// of its own.
func ownNetns(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	require.NoError(t, unix.Unshare(unix.CLONE_NEWNET))
}

// rules counts the rules of each chain.
func rules(t *testing.T, netns int) map[string]int {
	conn, err := nftables.New(nftables.WithNetNSFd(netns))
	require.NoError(t, err)
	chains, err := conn.ListChains()
	require.NoError(t, err)
	count := map[string]int{}
	for _, c := range chains {
		rules, err := conn.GetRules(c.Table, c)
		require.NoError(t, err)
		count[c.Table.Name+" "+c.Name] = len(rules)
	}
	return count
}

func TestRulesAreReplacedAsAWhole(t *testing.T) {
	ownNetns(t)
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	require.NoError(t, err)
	defer own.Close()
	netns := int(own.Fd())
	l, err := newLinks(netns)
	require.NoError(t, err)

	third := peer2.Next()
	links := map[netip.Addr]faults.Link{peer2: {Drop: true, Reject: true}, peer1: {Drop: true}, third: {Reject: true}}
	require.NoError(t, l.set(links))
	require.Equal(t, map[string]int{"faultline drop": 2, "faultline shape": 0, "faultline reject": 2}, rules(t, netns))
	require.NoError(t, l.set(links))
	require.Equal(t, map[string]int{"faultline drop": 2, "faultline shape": 0, "faultline reject": 2}, rules(t, netns))

	again, err := newLinks(netns)
	require.NoError(t, err)
	require.NoError(t, again.set(map[netip.Addr]faults.Link{peer1: {Drop: true}}), "rules of a serve before this one are replaced")
	require.Equal(t, map[string]int{"faultline drop": 1, "faultline shape": 0, "faultline reject": 0}, rules(t, netns))
	require.NoError(t, again.set(nil))
	require.Equal(t, map[string]int{"faultline drop": 0, "faultline shape": 0, "faultline reject": 0}, rules(t, netns))
}

func TestRulesOfClosedPortsAreReadBack(t *testing.T) {
	ownNetns(t)
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	require.NoError(t, err)
	defer own.Close()
	l, err := newLinks(int(own.Fd()))
	require.NoError(t, err)
	seen, err := l.dropped()
	require.NoError(t, err)
	require.Empty(t, seen, "no rules were set yet")

	require.NoError(t, l.set(map[netip.Addr]faults.Link{peer1: {Ports: "8300,8302"}, peer2: {Drop: true, Ports: "8300"}}))
	require.Equal(t, 5, rules(t, int(own.Fd()))["faultline drop"])
	seen, err = l.dropped()
	require.NoError(t, err)
	require.Equal(t, map[netip.Addr]map[uint16]faults.PortMeasurement{peer1: {8300: {}, 8302: {}}}, seen)
	require.NoError(t, l.set(map[netip.Addr]faults.Link{peer1: {Ports: "8302"}}))
	seen, err = l.dropped()
	require.NoError(t, err)
	require.Equal(t, map[netip.Addr]map[uint16]faults.PortMeasurement{peer1: {8302: {}}}, seen)
}

func TestAGuardLetsPeersInAndOthersToTheProxyAlone(t *testing.T) {
	ownNetns(t)
	own, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	require.NoError(t, err)
	defer own.Close()
	netns := int(own.Fd())
	l, err := newLinks(netns)
	require.NoError(t, err)
	require.NoError(t, l.set(nil))
	require.NotContains(t, rules(t, netns), "faultline outside", "not every pod is guarded")

	const lo, proxy, refuse = 1, 1, 2
	l.admit(nil)
	require.NoError(t, l.set(nil))
	require.Equal(t, lo+proxy+refuse, rules(t, netns)["faultline outside"])
	for _, peers := range [][]netip.Addr{{peer1, peer2}, {peer2, peer1}, {peer1}, {peer1, peer2}} {
		l.admit(peers)
		require.NoError(t, l.set(nil))
		require.Equal(t, lo+proxy+refuse+len(peers), rules(t, netns)["faultline outside"])
	}
	l.admit([]netip.Addr{peer2, peer1})
	require.True(t, l.applied, "it is so already")
}
