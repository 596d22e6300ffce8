package nemesis

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestGantt(t *testing.T) {
	s := parse(t, `steps:
  - {at: 3s, for: 5s, fault: partition, target: minority, oneway: in, draw: 4}
  - {at: 1s, for: 12s, fault: kill, target: [dc1-s2]}
  - {at: 9s, fault: transfer}
  - {at: 10s, for: 10s, fault: partition, target: primary, reject: true}
  - {at: 24s, fault: deposed-leader-reads}
  - {at: 26s, for: 10ms, fault: pause, target: all}
`)
	topology := layout(t, "dc1-5c2")
	golden(t, "gantt.txt", Gantt(s, topology, 100)+"\n"+Gantt(s, topology, 60)+"\n"+Gantt(Schedule{}, topology, 100))
	for width := range 130 {
		for _, line := range strings.Split(Gantt(s, topology, width), "\n") {
			require.LessOrEqual(t, utf8.RuneCountInString(line), max(width, minWidth))
		}
	}
}
