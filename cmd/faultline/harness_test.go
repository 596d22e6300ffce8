package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	dc "github.com/ory/dockertest/v3/docker"
	"github.com/stretchr/testify/require"

	"faultline/nodes/docker"
	"faultline/workloads/history"
)

// requireDocker, when set to 1, makes a test that needs an engine fail without one.
const requireDocker = "FAULTLINE_REQUIRE_DOCKER"

// patience is for what a loaded machine may take long for: building the agent for the
// first time, and starting three nodes.
const patience = 3 * time.Minute

// needEngine skips a test on a machine without an engine, unless requireDocker forbids it.
func needEngine(t *testing.T) *dc.Client {
	t.Helper()
	err := docker.New().Check(t.Context())
	unlessRequired(t, err, "needs Docker")
	pool, err := dockertest.NewPool("")
	require.NoError(t, err)
	return pool.Client
}

func unlessRequired(t *testing.T, err error, what string) {
	t.Helper()
	if err != nil && os.Getenv(requireDocker) != "1" {
		t.Skipf("%s: %v", what, err)
	}
	require.NoError(t, err)
}

// harness is the command faultline as a process of its own.
type harness struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	ended  chan error
	inner  int // pid of the process that does the work

	mu    sync.Mutex
	lines []string      // of standard error
	news  chan struct{} // holds one value when there may be more lines
}

// start runs faultline with arguments; edit changes how, and may be nil.
func start(t *testing.T, edit func(*exec.Cmd), args ...string) *harness {
	t.Helper()
	h := &harness{t: t, cmd: exec.Command("faultline", args...), ended: make(chan error, 1), news: make(chan struct{}, 1)}
	h.cmd.Env = append(os.Environ(), "NO_COLOR=1")
	h.cmd.Stdout = &h.stdout
	stderr, err := h.cmd.StderrPipe()
	require.NoError(t, err)
	if edit != nil {
		edit(h.cmd)
	}
	require.NoError(t, h.cmd.Start())
	t.Cleanup(h.giveUp)
	go func() {
		h.listen(stderr)
		h.ended <- h.cmd.Wait()
	}()
	return h
}

// giveUp ends what a test that failed has left running, with its cluster.
func (h *harness) giveUp() {
	for range 2 {
		if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil { // it has ended, as it should
			return
		}
		time.Sleep(100 * time.Millisecond) // the same signal twice at once is one
	}
	select {
	case <-h.ended:
	case <-time.After(time.Minute):
		h.t.Errorf("it did not end after two interrupts: %v", h.cmd.Process.Kill())
	}
}

func (h *harness) listen(stderr io.Reader) {
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		h.mu.Lock()
		h.lines = append(h.lines, lines.Text())
		h.mu.Unlock()
		select {
		case h.news <- struct{}{}:
		default:
		}
	}
}

// said is what it has written to standard error so far.
func (h *harness) said() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n") + "\n"
}

// await waits until it has said something.
func (h *harness) await(text string) {
	h.t.Helper()
	if h.inner == 0 {
		h.inner = inner(h.t, h.cmd.Process.Pid)
	}
	late := time.After(patience)
	for !strings.Contains(h.said(), text) {
		select {
		case <-h.news:
		case err := <-h.ended:
			require.Contains(h.t, h.said(), text, "it ended (%v) without having said so", err)
			h.ended <- err
		case <-late:
			require.Contains(h.t, h.said(), text, "not said within %v", patience)
		}
	}
}

// inner is the child of a supervisor, for which it waits. Package os has a child of its own for
// a moment, to see what the kernel can do; only what has been executed has the mark.
func inner(t *testing.T, supervisor int) (pid int) {
	t.Helper()
	tasks := filepath.Join("/proc", strconv.Itoa(supervisor), "task")
	require.Eventually(t, func() bool {
		threads, _ := os.ReadDir(tasks) // there are none until it has begun
		for _, thread := range threads {
			children, failed := os.ReadFile(filepath.Join(tasks, thread.Name(), "children"))
			if failed != nil {
				continue
			}
			for _, child := range strings.Fields(string(children)) {
				env, failed := os.ReadFile(filepath.Join("/proc", child, "environ"))
				if failed == nil && strings.Contains(string(env), envInner+"=") {
					pid, failed = strconv.Atoi(child)
					return failed == nil
				}
			}
		}
		return false
	}, patience, time.Millisecond, "process %d has no child", supervisor)
	return pid
}

// gone waits until a process is no more.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }, patience, 5*time.Millisecond)
}

func (h *harness) signal(s os.Signal) {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Signal(s))
}

// exits waits for the end and returns the exit code; -1 is a death by signal.
func (h *harness) exits() int {
	h.t.Helper()
	select {
	case <-h.ended:
		return h.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(h.t, "it does not end", "within %v; it said:\n%s", patience, h.said())
		return 0
	}
}

// leftovers lists what the engine has of the runs of a harness: their names end with its pid.
func (h *harness) leftovers(engine *dc.Client) []string {
	h.t.Helper()
	ours := func(labels map[string]string) bool {
		return strings.HasSuffix(labels["faultline.run"], "-"+strconv.Itoa(h.inner))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var names []string
	labelled := map[string][]string{"label": {"faultline.run"}}
	containers, err := engine.ListContainers(dc.ListContainersOptions{All: true, Filters: labelled, Context: ctx})
	require.NoError(h.t, err)
	for _, c := range containers {
		if ours(c.Labels) {
			names = append(names, "container "+c.Names[0])
		}
	}
	volumes, err := engine.ListVolumes(dc.ListVolumesOptions{Filters: labelled, Context: ctx})
	require.NoError(h.t, err)
	for _, v := range volumes {
		if ours(v.Labels) {
			names = append(names, "volume "+v.Name)
		}
	}
	networks, err := engine.FilteredListNetworks(dc.NetworkFilterOpts{"label": {"faultline.run": true}})
	require.NoError(h.t, err)
	for _, n := range networks {
		if ours(n.Labels) {
			names = append(names, "network "+n.Name)
		}
	}
	slices.Sort(names)
	return names
}

// finish runs faultline to its end, which must be silent on standard error.
func finish(t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	h := start(t, nil, args...)
	code = h.exits()
	require.Equal(t, "\n", h.said(), "%v", args)
	return code, h.stdout.String()
}

// onlyRun is the directory of the one run of a scenario in a store.
func onlyRun(t *testing.T, store, scenario string) (dir string) {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(store, scenario, "2*"))
	require.NoError(t, err)
	require.Len(t, runs, 1)
	return runs[0]
}

// readHistory reads the history of a run, which must be readable whatever has happened.
func readHistory(t *testing.T, dir string) (events []history.Event) {
	t.Helper()
	events, _, err := history.ReadFile(filepath.Join(dir, "history.jsonl"))
	require.NoError(t, err)
	return events
}

// scenarioFile writes a scenario of three servers that is called name.
func scenarioFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name+".yaml")
	text = "runtime: docker\ntopology: dc1-3\nrate: 100\nconcurrency: 6\nmin-ops: 50\nquiet: 2s\n" + text
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// inNamespace has a command run behind a shell command, in a mount namespace of its own.
func inNamespace(first string) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		path, args := cmd.Path, cmd.Args[1:]
		cmd.Path = "/bin/sh"
		cmd.Args = append([]string{"sh", "-ec", first + `; exec "$0" "$@"`, path}, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if uid := os.Getuid(); uid != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
	}
}
