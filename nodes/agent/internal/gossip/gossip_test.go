package gossip

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

var someTags = Tags{Server: true, DC: "dc1", ID: "8c1e0097-e682-4930-b5af-23f0b3b7e31d", RPC: "10.0.0.1:8300", WAN: "10.0.0.1:8302",
	Expect: 3, Build: "1.0.0", HTTPAPI: "10.0.0.1:8500"}

func TestTagsRoundTrip(t *testing.T) {
	leaving := someTags
	leaving.Leaving = true
	for _, tags := range []Tags{someTags, leaving, {DC: "dc1"}} {
		b, err := tags.Encode()
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), memberlist.MetaMaxSize)
		again, err := ParseTags(b)
		require.NoError(t, err)
		require.Equal(t, tags, again)
	}
	_, err := Tags{DC: string(make([]byte, 256))}.Encode()
	require.Error(t, err)
}

func FuzzTags(f *testing.F) {
	b, err := someTags.Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		tags, err := ParseTags(data)
		if err != nil {
			return
		}
		b, err := tags.Encode()
		require.NoError(t, err)
		again, err := ParseTags(b)
		require.NoError(t, err)
		require.Equal(t, tags, again)
	})
}

func node(t *testing.T, name string, tags Tags) *memberlist.Node {
	meta, err := tags.Encode()
	require.NoError(t, err)
	return &memberlist.Node{Name: name, Addr: []byte{10, 0, 0, 1}, Port: 8301, Meta: meta}
}

func TestTableRemembersEverybody(t *testing.T) {
	table := newTable(slog.New(slog.DiscardHandler))
	changed := table.changed()
	table.NotifyJoin(node(t, "a", someTags))
	require.True(t, closed(changed))
	table.NotifyLeave(node(t, "a", someTags))
	require.Equal(t, Failed, table.members()[0].Status)

	table.NotifyJoin(node(t, "a", someTags))
	leaving := someTags
	leaving.Leaving = true
	table.NotifyUpdate(node(t, "a", leaving))
	table.NotifyLeave(node(t, "a", leaving))
	require.Equal(t, Left, table.members()[0].Status)

	changed = table.changed()
	table.NotifyLeave(node(t, "a", leaving))
	require.False(t, closed(changed), "nothing is new")
	table.NotifyJoin(&memberlist.Node{Name: "stranger", Addr: []byte{10, 0, 0, 9}, Meta: []byte("?")})
	require.Len(t, table.members(), 1)
}

// Seeds where nobody was seen and members that failed are sought; those who left, and
// this node itself, are not.
func TestMissing(t *testing.T) {
	self, failed, left, unseen := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:1"),
		netip.MustParseAddrPort("10.0.0.3:1"), netip.MustParseAddrPort("10.0.0.4:1")
	p := &Pool{config: Config{Advertise: self, Seeds: []netip.AddrPort{self, left, unseen}}, table: newTable(nil)}
	p.table.byName = map[string]Member{"b": {Addr: failed, Status: Failed}, "c": {Addr: left, Status: Left},
		"old name of self": {Addr: self, Status: Failed}}
	require.ElementsMatch(t, []netip.AddrPort{failed, unseen}, p.reconnectTargets())
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
