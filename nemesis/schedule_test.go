package nemesis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

var everything = faults.Capabilities()

func TestScheduleIsOneLineAStep(t *testing.T) {
	const text = `seed: 7
steps:
  - {at: 3s, for: 5s, fault: partition, target: primary, oneway: in}
  - {at: 6.5s, for: 1m, fault: kill, target: [dc1-s1, "null"], draw: 18446744073709551615}
  - {at: 12s, fault: transfer}
  - {at: 1h0m1s, for: 250ms, fault: partition, target: majorities-ring, reject: true}
  - {at: 1h30m, for: 2s, fault: link, target: all, draw: 3, loss: 0.2, burst-loss: 0.1, burst: 5, delay: 40ms, jitter: 10ms, scramble: true, reorder: 0.1, duplicate: 0.05, corrupt: 0.01, rate: 100000, queue: 20000}
  - {at: 2h, fault: deposed-leader-reads, target: primary, reads: 90}
  - {at: 2h, for: 2s, fault: power-loss, target: one, torn: true, names: posix}
`
	s := parse(t, text)
	require.Equal(t, text, s.String())
	require.Equal(t, Step{At: 6500 * time.Millisecond, For: time.Minute, Fault: Kill{},
		Target: Names("dc1-s1", "null"), Draw: 1<<64 - 1, line: 4}, s.Steps[1])
	require.Equal(t, 2*time.Hour+4*time.Second, s.End())
	require.True(t, s.Equal(parse(t, s.String())))
}

func TestEmptySchedule(t *testing.T) {
	require.Equal(t, "steps: []\n", Schedule{}.String())
	require.Empty(t, parse(t, Schedule{}.String()).Steps)
	require.Zero(t, Schedule{}.End())
}

func TestParseTellsWhatIsWrongAndWhere(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{
		"",
		"steps: 3\n",
		"steps:\n  -\n",
		"steps:\n  - kill\n",
		"step:\n  - {at: 3s}\n",
		"steps:\n  - {at: 3, for: soon, fault: [kill], target: {}}\n",
		"steps:\n  - {at: 3s, for: 5s, fault: kill, target: one, drow: 3}\n",
		"steps:\n  - {at: 3s, at: 4s, fault: transfer}\n",
		"steps:\n  - {at: 3s, fault: transfer}\n  - {at: 3s, for: 1s, fault: kill, target: [], draw: -1, reads: x, reject: maybe}\n",
		"~\n",
		"seed: x\nsteps:\n  - {at: x}\n  - {at: y}\n",
		"steps: []\n---\nsteps: []\n",
	} {
		_, err := Parse("s.yaml", []byte(text))
		require.Error(t, err, text)
		fmt.Fprintf(&out, "%s----\n%s\n\n", text, err)
	}
	golden(t, "parse-errors.txt", out.String())
}

func TestCheckTellsWhatIsWrongAndWhatThereIs(t *testing.T) {
	three, five := layout(t, "dc1-3c2"), layout(t, "dc1-5")
	var out strings.Builder
	for _, c := range []struct {
		on   string
		have []faults.Capability
		step string
	}{
		{"three", everything, "{at: 1s, for: 1s}"},
		{"three", everything, "{at: 1s, for: 1s, fault: earthquake, target: one}"},
		{"three", everything, "{at: -1s, for: -1s, fault: kill, target: one}"},
		{"three", everything, "{at: 1s, fault: kill, target: one}"},
		{"three", everything, "{at: 1s, for: 1s, fault: transfer}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: bridge}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: everyone}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: dc1-s2}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: [dc1-s9]}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: [dc1-s1, dc1-s1]}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: one, oneway: in, reject: true, reads: 3}"},
		{"three", everything, "{at: 1s, for: 1s, fault: partition, target: one, oneway: up}"},
		{"three", everything, "{at: 1s, fault: deposed-leader-reads, reads: -1}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: all, draw: 3}"},
		{"three", everything, "{at: 1s, for: 1s, fault: partition, target: majorities-ring}"},
		{"three", everything, "{at: 1s, for: 1s, fault: partition, target: [dc1-s1, dc1-s2, dc1-s3, dc1-c1, dc1-c2]}"},
		{"three", everything, "{at: 1s, fault: transfer, target: [dc1-c1]}"},
		{"three", everything, "{at: 1s, fault: transfer, target: [dc1-s1, dc1-s2]}"},
		{"three", everything, "{at: 1s, for: 1s, fault: leave, target: [dc1-s1, dc1-s2]}"},
		{"five", everything, "{at: 1s, for: 1s, fault: leave, target: [dc1-s1, dc1-s2, dc1-s3]}"},
		{"three", everything[:1], "{at: 1s, for: 1s, fault: partition, target: primary, reject: true}"},
		{"three", everything[:1], "{at: 1s, for: 1s, fault: deposed-leader-reads}"},
		{"three", nil, "{at: 1s, for: 1s, fault: kill, target: primary}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, loss: 1.5}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, corrupt: 0.001}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, loss: 0.1, delay: -40ms}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, delay: 40ms, scramble: true}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, rate: 100}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, delay: 40ms, queue: 5000}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, burst-loss: 0.1}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, burst-loss: 0.02, burst: 20}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: all, oneway: in, loss: 0.1}"},
		{"three", everything, "{at: 1s, for: 1s, fault: link, target: one, reject: true, loss: 0.1}"},
		{"three", everything, "{at: 1s, for: 1s, fault: partition, target: one, loss: 0.1, delay: 40ms}"},
		{"three", everything, "{at: 1s, for: 1s, fault: join, target: spare}"},
		{"three", everything, "{at: 1s, for: 1s, fault: join, target: [dc1-s1]}"},
		{"spares", everything, "{at: 1s, for: 1s, fault: join, target: [dc1-s1]}"},
		{"spares", everything[:10], "{at: 1s, for: 1s, fault: kill, target: one}"},
		{"three", everything, "{at: 1s, for: 1s, fault: restart-storm, target: one}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: one, torn: true, below-majority: true}"},
		{"three", everything, "{at: 1s, for: 1s, fault: power-loss, target: one, names: ext4}"},
		{"three", everything, "{at: 1s, for: 1s, fault: kill, target: one, names: posix}"},
		{"three", everything, "{at: 1s, for: 1s, fault: replace, target: [dc1-c1]}"},
		{"three", everything[:3], "{at: 1s, for: 1s, fault: link, target: one, loss: 0.1, duplicate: 0.1}"},
	} {
		s, err := Parse("test.yaml", []byte("steps:\n  - {at: 0s, fault: transfer}\n  - "+c.step+"\n"))
		topology := three
		switch c.on {
		case "five":
			topology = five
		case "spares":
			topology = layout(t, "dc1-3x2")
		}
		if err == nil {
			err = s.Check(topology, c.have)
		}
		require.Error(t, err, c.step)
		fmt.Fprintf(&out, "%s: %s\n  %s\n\n", c.on, c.step, strings.ReplaceAll(err.Error(), "\n", "\n  "))
	}
	golden(t, "check-errors.txt", out.String())
}

func TestCheckAcceptsWhatCanBePlayed(t *testing.T) {
	s := parse(t, `steps:
  - {at: 0s, for: 1s, fault: partition, target: majorities-ring, oneway: out, reject: true, draw: 77}
  - {at: 1s, for: 1s, fault: kill, target: [dc1-c1, dc1-s1]}
  - {at: 2s, for: 1s, fault: leave, target: [dc1-s1, dc1-s2]}
  - {at: 3s, fault: deposed-leader-reads}
  - {at: 3s, for: 6s, fault: pause, target: all}
  - {at: 4s, for: 1s, fault: link, target: all, draw: 5, loss: 0.05, delay: 40ms, jitter: 40ms, scramble: true}
  - {at: 4s, for: 1s, fault: link, target: primary, oneway: in, rate: 100000}
`)
	require.NoError(t, s.Check(layout(t, "dc1-5c2"), everything))
	drops := parse(t, "steps:\n  - {at: 0s, for: 1s, fault: partition, target: primary}\n")
	require.NoError(t, drops.Check(layout(t, "dc1-3"), []faults.Capability{faults.LinkDrop}))
}

func TestCheckOfWhatWasNotParsedNamesTheStep(t *testing.T) {
	s := Schedule{Steps: []Step{{Fault: Transfer{}}, {Fault: Kill{}, Target: Target{Word: One}}}}
	require.EqualError(t, s.Check(layout(t, "dc1-3"), everything), "step 1: for is missing: how long kill lasts")
}

func FuzzParse(f *testing.F) {
	f.Add("seed: 7\nsteps:\n  - {at: 3s, for: 5s, fault: partition, target: primary, oneway: in, reject: true, draw: 3}\n")
	f.Add("steps:\n- at: 1h0m0s\n  fault: kill\n  target: [\"null\", 1e3, true, y, ~x]\n")
	f.Add("steps: [{fault: link, loss: .nan, burst: .inf, delay: -1s, rate: 1e3, queue: 0x10, scramble: true}]\n")
	f.Add("steps: [&a {at: 1ns, fault: deposed-leader-reads, reads: 0x10}, *a]\n")
	f.Add("steps: [{fault: truncate, file: \"a/*\\n~\", at: 1s}, {fault: power-loss, names: '', torn: false, draw: 0}, {fault: clock, drift: -0.0}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		again, err := Parse("f.yaml", []byte(s.String()))
		require.NoError(t, err, s.String())
		require.Equal(t, unplaced(s), unplaced(again))
		require.True(t, s.Equal(again))
	})
}

// unplaced is the schedule without the places where it was read.
func unplaced(s Schedule) Schedule {
	s = s.clone()
	s.file, s.line = "", 0
	for i := range s.Steps {
		s.Steps[i].line = 0
	}
	return s
}
