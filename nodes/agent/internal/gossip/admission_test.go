package gossip

import (
	"errors"
	"testing"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

func TestAdmission(t *testing.T) {
	a := admission(func(name string, tags Tags) error {
		if !tags.Server {
			return errors.New("it is no server")
		}
		return nil
	})
	server, client := node(t, "a", someTags), node(t, "b", Tags{DC: "dc1"})
	require.NoError(t, a.NotifyAlive(server))
	require.ErrorContains(t, a.NotifyAlive(client), "b is not admitted: it is no server")
	require.Error(t, a.NotifyAlive(&memberlist.Node{Name: "c", Meta: []byte("?")}), "no agent at all")
	require.NoError(t, a.NotifyMerge([]*memberlist.Node{server}))
	require.Error(t, a.NotifyMerge([]*memberlist.Node{server, client}))
}
