package history

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGapsOfAWANPool(t *testing.T) {
	servers := map[string][]string{"dc1": {"a", "b"}, "dc2": {"a"}}
	whole := []WANMember{
		{"a", "dc1", true, MemberAlive}, {"b", "dc1", true, MemberAlive}, {"a", "dc2", true, MemberAlive},
	}
	gaps := func(members ...WANMember) []string { return WANView{Members: members}.Gaps(servers) }

	require.Empty(t, gaps(whole...))
	require.Empty(t, gaps(append(whole, WANMember{"gone", "dc2", true, MemberLeft})...))
	require.Equal(t, []string{"a of dc1 is not in the pool", "a of dc2 is not in the pool", "b of dc1 is not in the pool"}, gaps())
	require.Equal(t, []string{"a of dc2 is not in the pool"}, gaps(whole[:2]...))
	require.Equal(t, []string{"a of dc2 is failed"}, gaps(append(whole[:2:2], WANMember{"a", "dc2", true, MemberFailed})...))
	require.Equal(t, []string{"b of dc2 is alive, and should not be"}, gaps(append(whole, WANMember{"b", "dc2", true, MemberAlive})...))
	require.Equal(t, []string{"c1 of dc1 is in the pool, and is no server"}, gaps(append(whole, WANMember{"c1", "dc1", false, MemberFailed})...))
	require.Equal(t, []string{"a of dc1 is in the pool 2 times"}, gaps(append(whole, whole[0])...))
}
