package nemesis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLook(t *testing.T) {
	for seed := range uint64(4) {
		s, err := Generate(Options{Seed: seed, Duration: 28 * time.Second, Topology: layout(t, "dc1-3"), Swarm: true})
		require.NoError(t, err)
		require.NoError(t, s.Check(layout(t, "dc1-3"), everything))
		fmt.Println(Gantt(s, layout(t, "dc1-3"), 180), s)
	}
}
