package faultline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/workloads/history"
)

// The harness injects faults into itself: of every seam, which is a place where it calls
// what is not its own code, the n-th call of a short run goes wrong, for every n and in
// several ways. Whatever that is, the run ends, says why, leaves nothing behind, and is
// never invalid: the system is a correct one. Nor is it valid, but where goodAgain says so.

// selfScenario is a short run with a cut, a kill, a leave and a transfer.
const selfScenario = `
topology: dc1-3
rate: 40
concurrency: 4
timeout: 1s
min-ops: 50
time-limit: 9s
quiet: 1s
recover-within: 10s
steps:
  - {at: 500ms, for: 1s, fault: partition, target: primary}
  - {at: 2500ms, for: 1s, fault: kill, target: [dc1-s2]}
  - {at: 4500ms, for: 1s, fault: leave, target: [dc1-s3]}
  - {at: 6500ms, fault: transfer, target: primary}
`

// endsWithin is how long such a run may take, whatever goes wrong. It is virtual time.
const endsWithin = 30 * time.Minute

// trials are the seams, and the ways in which a call of them goes wrong.
var trials = []struct {
	seam string
	ways []string
}{
	{"Start", []string{fails, hangs, stuck, panics}},
	{"Open", []string{fails, hangs, panics}},
	{"StartNode", []string{fails, hangs, panics, nothing}},
	{"Set", []string{fails, hangs, stuck, panics, nothing}},
	{"Measure", []string{fails, hangs, stuck, panics, nothing}},
	{"Exited", []string{fails, hangs, stuck, panics, nothing}},
	{"Watch", []string{fails, hangs, stuck, panics, nothing}},
	{"process event", []string{nothing}},
	{"Logs", []string{fails, hangs, stuck, panics}},
	{"Close", []string{fails, hangs, stuck, panics}},
	{"Dial", []string{fails, hangs, panics}},
	{"reply", []string{lost, garbled, replies, strange, empty, cut, ends}},
	{"Get", clientWays()},
	{"Put", clientWays()},
	{"CAS", clientWays(history.CASMismatch)}, // which is an answer, and that of another store
	{"Observe", clientWays()},
	{"Observe of dc1-s2", []string{forever}},
	{"Transfer", clientWays()},
	{"Leave", clientWays()},
	{"Peers", clientWays()},
	{"Identity", clientWays()},
	{"answer to Get", []string{nonsense, text}},
}

// clientWays are those in which a call of a client goes wrong: every error that it may
// return, and those that it may not.
func clientWays(but ...history.Code) []string {
	ways := []string{hangs, stuck, panics, foreign, drops, "a-code-that-nobody-knows"}
	for _, code := range history.Codes() {
		if !slices.Contains(but, code) {
			ways = append(ways, string(code))
		}
	}
	return ways
}

// goodAgain is where a run in which a call went wrong may be valid, and why: a seam, or one
// way of it.
var goodAgain = map[string]string{
	"Measure":           "a probe is repeated until it shows what was asked, at least once",
	"Exited " + nothing: "the state of the process is measured as well",
	"Close":             "it is called again",
	"Dial":              "clients meet that, and it is in the history",
	"Get":               "clients meet that, and it is in the history",
	"Put":               "clients meet that, and it is in the history",
	"CAS":               "clients meet that, and it is in the history",
	"Observe":           "each node is asked four times a second; an answer that lacks is in the history",
	"Peers":             "they are asked again, or another is",
	"Identity":          "they are asked again",
	"Leave " + drops:    "the end of the process is the proof",
	"reply":             "a stream that broke is opened again and asked again; a probe is repeated, as is the last Set",
}

// A panic is never made good.
func mayBeValid(seam, how string) bool {
	return how != panics && (goodAgain[seam+" "+how] != "" || goodAgain[seam] != "")
}

// trial is a run in which a trap was laid.
type trial struct {
	outcome Outcome
	err     error
	took    time.Duration
	memory  *memory
	left    bool // the cluster was
}

// try plays it in virtual time. What the run leaves running makes the bubble panic.
func try(t *testing.T, trap *trap, store string) (r trial) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		trap.release = make(chan struct{})
		r.memory = newMemory(trap)
		s, err := ParseScenario("self.yaml", []byte(selfScenario))
		require.NoError(t, err)
		s.Seed = 1
		began := time.Now()
		r.outcome, r.err = Run(t.Context(), s, Options{Store: store, System: memorySystem{r.memory}, Runtime: r.memory})
		r.took = time.Since(began)
		close(trap.release)
		if trap.how == stuck {
			time.Sleep(endsWithin) // what was left behind ends by its own limits
		}
		if r.left = r.memory.started > r.memory.closed; r.left {
			require.NoError(t, r.memory.close())
		}
	})
	return r
}

func (r trial) why() string {
	var said []string
	for _, result := range r.outcome.Results {
		if result.Verdict != checker.Valid {
			said = append(said, fmt.Sprintf("%s: %s", result.Checker, result.Summary))
		}
	}
	return strings.Join(said, "\n")
}

// wrong tells what is wrong with how a trial ended.
func (r trial) wrong(seam, how string) error {
	switch {
	case r.took > endsWithin:
		return fmt.Errorf("it took %v", r.took)
	case r.err == nil && r.outcome.Verdict == checker.Invalid:
		return fmt.Errorf("it is invalid: %s", r.why())
	case r.err == nil && r.outcome.Verdict == checker.Valid && !mayBeValid(seam, how) && !(how == nothing && r.memory.trap.harmless):
		return errors.New("it is valid")
	case r.err != nil && errors.As(r.err, new(*UsageError)):
		return fmt.Errorf("it is told as a mistake of the user: %w", r.err)
	case r.err != nil && errors.Is(r.err, ErrInterrupted):
		return fmt.Errorf("it is told as an interrupt: %w", r.err)
	case r.left && (r.err == nil || !strings.Contains(r.err.Error(), "run `faultline clean`")):
		return errors.New("the cluster was left behind, and nobody says so")
	}
	return nil
}

func TestARunInMemoryIsValid(t *testing.T) {
	r := try(t, newTrap("", "", 0), filepath.Join(t.TempDir(), "store"))
	require.NoError(t, r.err)
	require.Equal(t, checker.Valid, r.outcome.Verdict, r.why())
}

func TestAGivenRuntimeIsTakenForNoOther(t *testing.T) {
	m := newMemory(newTrap("", "", 0))
	_, err := Default().lookUp(Scenario{Name: "mine", Runtime: "docker"}, Options{Runtime: m})
	require.ErrorContains(t, err, "leave it out")
	p, err := Default().lookUp(Scenario{Name: "mine"}, Options{Runtime: m})
	require.NoError(t, err)
	require.NoError(t, p.place(t.Context()))
	require.Same(t, m, p.runtime)
	_, err = Default().lookUp(p.stored(), Options{})
	require.ErrorContains(t, err, `the runtime "memory" was brought by a Go program`)
}

// selfAll, when it is "all", makes these tests try every call; else they draw some, others
// every day.
const selfAll = "FAULTLINE_SELF"

func TestWhateverGoesWrongIsToldAsThat(t *testing.T) {
	whole := newTrap("", "", 0)
	try(t, whole, filepath.Join(t.TempDir(), "store"))
	seed := uint64(time.Now().Unix() / 86400)
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("calls of a whole run: %v; the draw of today: %d", whole.counts, seed)
	for _, line := range trials {
		calls := whole.counts[line.seam]
		require.Positive(t, calls, "no run calls %s", line.seam)
		for _, how := range someWays(random, line.ways) {
			for _, n := range someOf(random, calls, 1) {
				t.Run(fmt.Sprintf("%s %d of %d %s", line.seam, n, calls, how), func(t *testing.T) {
					t.Parallel()
					trap := newTrap(line.seam, how, n)
					r := try(t, trap, filepath.Join(t.TempDir(), "store"))
					if !trap.sprung {
						t.Skip("this run had fewer calls")
					}
					t.Logf("%v after %v: %s (%v)", r.outcome.Verdict, r.took, r.why(), r.err)
					require.NoError(t, r.wrong(line.seam, how))
				})
			}
		}
	}
}

// someWays draws some ways of a seam that has many, or lists all.
func someWays(random *rand.Rand, ways []string) []string {
	const drawn = 4
	if os.Getenv(selfAll) == "all" || len(ways) <= drawn {
		return ways
	}
	ways = slices.Clone(ways)
	random.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
	return ways[:drawn]
}

// someOf draws so many of n calls, counted from 1, or lists all.
func someOf(random *rand.Rand, n, drawn int) (calls []int) {
	for i := range n {
		calls = append(calls, i+1)
	}
	if os.Getenv(selfAll) == "all" {
		return calls
	}
	random.Shuffle(n, func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
	return calls[:min(drawn, n)]
}
