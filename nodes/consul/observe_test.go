package consul

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// What a process uses is told by the reference agent, by a Consul in part, and by others not at all.
func TestUsageIsReadWhereItIsTold(t *testing.T) {
	for _, c := range []struct {
		self string
		want history.Observation
	}{
		{`{"Raft":{"Boot":"b","State":"Leader"},"Usage":{"Goroutines":90,"Descriptors":20,"Memory":4096}}`,
			history.Observation{BootID: "b", State: history.Leader, Goroutines: 90, Descriptors: 20, Memory: 4096}},
		{`{"Stats":{"runtime":{"goroutines":"123","arch":"amd64"}}}`, history.Observation{Goroutines: 123}},
		{`{"Stats":{"runtime":{"goroutines":"many"}}}`, history.Observation{}},
		{`{"Raft":{"Boot":"b"}}`, history.Observation{BootID: "b"}},
	} {
		got, _, err := parseSelf([]byte(c.self))
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
