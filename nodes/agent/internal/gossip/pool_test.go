package gossip

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/oshost"
)

// patience bounds every wait; a run that works waits a small part of it.
const patience = 40 * time.Second

// prefix claims a /24 of loopback addresses.
func prefix(t *testing.T) string {
	t.Helper()
	for {
		prefix := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(256))
		if claim, err := net.Listen("tcp", prefix+"254:8299"); err == nil {
			t.Cleanup(func() { require.NoError(t, claim.Close()) })
			return prefix
		}
	}
}

func start(t *testing.T, name, ip string, seeds ...string) *Pool {
	t.Helper()
	host, err := oshost.New(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	at := netip.AddrPortFrom(netip.MustParseAddr(ip), 8301)
	c := Config{Host: host, Name: name, Bind: at, Advertise: at, Tags: someTags, Profile: Profiles["fast"]}
	for _, s := range seeds {
		c.Seeds = append(c.Seeds, netip.AddrPortFrom(netip.MustParseAddr(s), 8301))
	}
	p, err := Start(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Shutdown()) })
	return p
}

// await waits until a pool sees a member so.
func (p *Pool) await(t *testing.T, name string, status Status) {
	t.Helper()
	late := time.After(patience)
	for {
		changed := p.Changed()
		for _, m := range p.Members() {
			if m.Name == name && m.Status == status {
				return
			}
		}
		select {
		case <-changed:
		case <-late:
			require.Fail(t, "a member is not as it should be", "%s %s: %v", name, status, p.Members())
		}
	}
}

func TestLifeOfAMember(t *testing.T) {
	t.Parallel()
	at := prefix(t)
	a := start(t, "a", at+"1")
	b := start(t, "b", at+"2", at+"1", at+"2") // itself among the seeds
	a.await(t, "b", Alive)
	b.await(t, "a", Alive)

	require.NoError(t, b.Shutdown())
	a.await(t, "b", Failed)
	b = start(t, "b", at+"2") // without seeds: it is a that seeks
	a.await(t, "b", Alive)
	b.await(t, "a", Alive)
	require.Equal(t, someTags, a.Members()[1].Tags)

	require.NoError(t, b.Announce(patience))
	require.NoError(t, b.Leave(patience))
	a.await(t, "b", Left)
	require.NoError(t, b.Shutdown())
	require.NoError(t, b.Shutdown(), "twice")
	start(t, "b", at+"2", at+"1")
	a.await(t, "b", Alive)
}

func TestBusyAddress(t *testing.T) {
	t.Parallel()
	at := prefix(t)
	busy, err := net.Listen("tcp", at+"1:8301")
	require.NoError(t, err)
	defer busy.Close()
	host, err := oshost.New(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	addr := netip.MustParseAddrPort(at + "1:8301")
	_, err = Start(Config{Host: host, Name: "a", Bind: addr, Advertise: addr, Tags: someTags, Profile: Profiles["fast"]})
	require.ErrorContains(t, err, "in use")
	packets, err := host.ListenPacket(addr.String())
	require.NoError(t, err, "what was opened is closed")
	require.NoError(t, packets.Close())
}

func TestTagsThatDoNotFit(t *testing.T) {
	t.Parallel()
	tags := someTags
	tags.DC, tags.Build, tags.ID = string(make([]byte, 200)), string(make([]byte, 200)), string(make([]byte, 200))
	_, err := Start(Config{Tags: tags})
	require.ErrorContains(t, err, "fit")
}

func TestProfiles(t *testing.T) {
	for name, p := range Profiles {
		require.Equal(t, name, p.Name)
	}
	_, err := ProfileNamed("slow")
	require.ErrorContains(t, err, "fast, lan")
}

func TestDamagedTags(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":             "",
		"another version":     "\x02\x04role\x06client",
		"no role":             "\x01",
		"an unknown role":     "\x01\x04role\x04king",
		"a server of no size": "\x01\x04role\x06server",
		"cut off":             "\x01\x04role\x06clie",
		"a name alone":        "\x01\x04role",
	} {
		_, err := ParseTags([]byte(data))
		require.ErrorIs(t, err, errMeta, name)
	}
}
