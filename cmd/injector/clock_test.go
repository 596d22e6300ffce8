//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/injector/clock"
)

// asInjector makes this test's binary be the injector.
const asInjector = "FAULTLINE_TEST_AS_INJECTOR"

func TestMain(m *testing.M) {
	if os.Getenv(asInjector) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// result is how a command ended.
type result struct {
	code     int
	out, err string
}

func injectorClock(t *testing.T, args ...string) result {
	cmd := exec.Command(os.Args[0], append([]string{"clock"}, args...)...)
	cmd.Env = append(os.Environ(), asInjector+"=yes")
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if failed := cmd.Run(); failed != nil {
		require.ErrorAs(t, failed, new(*exec.ExitError))
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), err.String()}
}

func needsTracing(t *testing.T) {
	p, err := clock.Open(os.Getpid())
	if err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") == "" {
		t.Skip("no process may be traced here: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

// date(1), which nobody here wrote, tells another day.
func TestClockOfDate(t *testing.T) {
	needsTracing(t)
	for _, offset := range []time.Duration{0, 48 * time.Hour, -48 * time.Hour} {
		before := time.Now().Add(offset).Unix()
		got := injectorClock(t, "--offset", offset.String(), "--", "date", "+%s")
		require.Zero(t, got.code, got.err)
		shown, err := strconv.ParseInt(strings.TrimSpace(got.out), 10, 64)
		require.NoError(t, err)
		require.True(t, shown >= before && shown <= time.Now().Add(offset).Unix(), "%d, from %d on", shown, before)
	}
}

func TestClockTellsWhatIsShown(t *testing.T) {
	needsTracing(t)
	got := injectorClock(t, "--offset", "1h", "--forward", "2h", "--", "sleep", "0.2")
	require.Zero(t, got.code, got.err)
	require.Regexp(t, `^injector clock: wall (1h0m0|59m59).*s, monotonic (2h0m0|1h59m59).*s, within .*s \(patched: true\)\n$`, got.err)
}

func TestClockExitCodes(t *testing.T) {
	needsTracing(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		err  string
	}{
		{"help", []string{"--help"}, 0, "usage: injector clock"},
		{"unknown flag", []string{"--colour", "--", "true"}, badArguments, "unknown flag"},
		{"bad drift", []string{"--drift", "-1", "--", "true"}, badArguments, "more than -1"},
		{"no program", []string{"--offset", "1h"}, badArguments, "which program"},
		{"nothing to run", []string{"--", "/nowhere/at/all"}, 1, "no such file"},
		{"the program's", []string{"--offset", "1h", "--", "sh", "-c", "exit 7"}, 7, ""},
		{"a signal's", []string{"--offset", "1h", "--", "sh", "-c", "kill -9 $$"}, 128 + int(syscall.SIGKILL), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := injectorClock(t, c.args...)
			require.Equal(t, c.code, got.code, got.err)
			require.Contains(t, got.err, c.err)
		})
	}
}
