package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/nodes/pods/podstest"
)

// These tests run real clusters, which wait more than they work: make test runs four at a time.

const oneFault = "time-limit: 40s\nsteps:\n  - {at: 0s, for: 30s, fault: partition, target: primary}\n"

// sixFaults are six at a time, of six families, from 5 s on.
const sixFaults = `time-limit: 60s
steps:
  - {at: 0s, for: 50s, fault: link, target: all, draw: 1, delay: 10ms}
  - {at: 1s, for: 50s, fault: clock, target: all, offset: 1h, drift: 0.1}
  - {at: 2s, for: 50s, fault: disk, target: all, slow-fsync: 20ms}
  - {at: 3s, for: 50s, fault: partition, target: [dc1-s1], oneway: in}
  - {at: 4s, for: 50s, fault: pause, target: [dc1-s2]}
  - {at: 5s, for: 50s, fault: power-loss, target: [dc1-s3]}
`

func TestAShortRunIsValid(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	store := t.TempDir()
	h := start(t, nil, "test", "--store", store, scenarioFile(t, "short", `
time-limit: 7s
steps:
  - {at: 0s, for: 2s, fault: partition, target: primary}
  - {at: 3s, for: 2s, fault: kill, target: one, draw: 1}
`))
	code := h.exits()
	require.Equal(t, exitValid, code, "%s\n%s", h.said(), h.stdout.String())
	require.Contains(t, h.said(), "fault: partition [dc1-s")
	require.Contains(t, h.said(), "heal: kill one")
	require.NotContains(t, h.said(), "\x1b", "standard error is no terminal")
	require.Empty(t, h.leftovers(engine))

	dir := onlyRun(t, store, "short")
	for _, name := range []string{"scenario.yaml", "topology.yaml", "schedule.yaml", "resolved.yaml", "versions.json", "history.jsonl",
		"results.json", "report.html", "junit.xml", "summary.md", "nodes/dc1-s1/node.log"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	for _, link := range []string{store, filepath.Join(store, "short")} {
		latest, err := rundir.Locate(link)
		require.NoError(t, err)
		require.Equal(t, dir, latest)
	}
	before := resultsOf(t, dir)
	code, _ = finish(t, "analyze", store)
	require.Equal(t, exitValid, code)
	require.Equal(t, string(before), string(resultsOf(t, dir)), "judged again to the same result")
}

// One harness is killed in the middle of six faults, beside another that lives. clean takes
// what the dead one left and spares the other, which is then interrupted.
func TestAKilledHarnessIsCleanedUpAfterAndAnInterruptedOneCleansUpItself(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	podstest.Alone(t)
	store := t.TempDir()
	living := start(t, nil, "test", "--store", store, scenarioFile(t, "living", oneFault))
	dead := start(t, nil, "test", "--store", store, scenarioFile(t, "dead", sixFaults))
	living.await("fault: partition")
	dead.await("fault: power-loss")
	dead.signal(syscall.SIGKILL)
	require.Equal(t, -1, dead.exits())
	gone(t, dead.inner)
	require.Len(t, dead.leftovers(engine), 3+3+3+1, "holders, nodes, volumes and the network of three nodes")
	alive := living.leftovers(engine)
	require.Len(t, alive, 10)

	code, stdout := finish(t, "clean")
	require.Zero(t, code)
	require.Contains(t, stdout, "removed container faultline-dead-")
	require.NotContains(t, stdout, "faultline-living-")
	require.Empty(t, dead.leftovers(engine))
	require.Equal(t, alive, living.leftovers(engine))

	dir := onlyRun(t, store, "dead")
	require.NotEmpty(t, readHistory(t, dir))
	code, stdout = finish(t, "analyze", dir)
	require.Equal(t, exitUnknown, code, stdout)
	require.Contains(t, stdout, "the history was cut off before the end of the run")

	living.signal(os.Interrupt)
	living.await("interrupted: healing, then judging")
	code = living.exits()
	require.Equal(t, []string(nil), living.leftovers(engine))
	dir = onlyRun(t, store, "living")
	outcome, err := faultline.Analyze(t.Context(), dir)
	require.NoError(t, err)
	require.NotEqual(t, checker.Invalid, outcome.Verdict)
	require.Equal(t, map[checker.Verdict]int{checker.Valid: exitValid, checker.Unknown: exitUnknown}[outcome.Verdict], code)
	require.FileExists(t, filepath.Join(dir, "report.html"))
	require.Contains(t, living.stdout.String(), "note: interrupted by the user after ")
	require.NotNil(t, outcome.Report.Run.Baseline, "it was healed, and the heal was measured")
	require.True(t, outcome.Report.Run.Baseline.Verified)
}

func TestASecondInterruptOnlyCleansUp(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	store := t.TempDir()
	h := start(t, nil, "test", "--store", store, scenarioFile(t, "twice", oneFault))
	h.await("fault: partition")
	h.signal(os.Interrupt)
	h.await("interrupted: healing, then judging")
	h.signal(syscall.SIGTERM)
	require.Equal(t, exitUnknown, h.exits(), h.said())
	require.NotContains(t, h.said(), "judging\n")
	dir := onlyRun(t, store, "twice")
	require.Contains(t, h.said(), "faultline: interrupted before it was judged; `faultline analyze "+dir+"` judges what there is\n")
	require.Empty(t, h.stdout.String())
	require.Empty(t, h.leftovers(engine))
	require.NotEmpty(t, readHistory(t, dir))
	code, _ := finish(t, "analyze", dir)
	require.Equal(t, exitUnknown, code)
}

func TestAnInterruptBeforeTheFirstOperationLeavesNothing(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	store := t.TempDir()
	h := start(t, nil, "test", "--store", store, scenarioFile(t, "early", oneFault))
	h.await("starting 3 pods")
	h.signal(syscall.SIGHUP)
	require.Equal(t, exitUnknown, h.exits(), h.said())
	require.Contains(t, h.said(), "faultline: interrupted before the first operation")
	require.Empty(t, h.leftovers(engine))
	left, err := os.ReadDir(store)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestADiskThatIsFull(t *testing.T) {
	t.Parallel()
	engine := needEngine(t)
	store := t.TempDir()
	unlessRequired(t, mountTrial(store), "needs to mount a tmpfs in a namespace")

	t.Run("before the run", func(t *testing.T) {
		h := start(t, inNamespace("mount -t tmpfs -o size=8m tmpfs "+store), "test", "--store", store, scenarioFile(t, "full", oneFault))
		require.Equal(t, exitUsage, h.exits())
		require.Equal(t, "faultline: store "+store+": 8 MiB free, a run wants at least 64 MiB: make room, or give another --store\n", h.said())
	})
	t.Run("that nobody may write to", func(t *testing.T) {
		h := start(t, inNamespace("mount -t tmpfs -o ro tmpfs "+store), "test", "--store", filepath.Join(store, "below"), scenarioFile(t, "full", oneFault))
		require.Equal(t, exitUsage, h.exits())
		require.Equal(t, "faultline: store "+store+"/below: cannot write to "+store+": read-only file system; give another --store\n", h.said())
	})
	t.Run("in the middle of a run", func(t *testing.T) {
		h := start(t, inNamespace("mount -t tmpfs -o size=72m tmpfs "+store), "test", "--store", store, scenarioFile(t, "full", oneFault))
		h.await("fault: partition")
		inside, err := os.OpenRoot(filepath.Join("/proc", strconv.Itoa(h.cmd.Process.Pid), "root", store)) // it stays when the namespace is gone
		require.NoError(t, err)
		defer inside.Close()
		fill(t, inside)
		require.Equal(t, exitHarness, h.exits())
		require.Empty(t, h.leftovers(engine))
		require.Empty(t, h.stdout.String())
		require.Regexp(t, `(?m)^faultline: the disk of \S+ is full, make room there: no space left on device; `+
			"the history up to there stays, and `faultline analyze \\S+` judges it\\n\\z", h.said())

		require.NoError(t, inside.Remove("filler"))
		outside := t.TempDir()
		require.NoError(t, os.CopyFS(outside, inside.FS()))
		dir := onlyRun(t, outside, "full")
		require.NotEmpty(t, readHistory(t, dir))
		outcome, err := faultline.Analyze(t.Context(), dir)
		require.NoError(t, err)
		require.Equal(t, checker.Unknown, outcome.Verdict)
	})
}

// mountTrial reports whether this machine lets us mount something.
func mountTrial(dir string) error {
	trial := exec.Command("/bin/true")
	inNamespace("mount -t tmpfs -o size=1m tmpfs " + dir)(trial)
	return trial.Run()
}

// fill takes all the room that is left.
func fill(t *testing.T, dir *os.Root) {
	t.Helper()
	f, err := dir.Create("filler")
	require.NoError(t, err)
	block := make([]byte, 1<<20)
	for size := len(block); size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(block[:size])
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
	require.NoError(t, f.Close())
}
