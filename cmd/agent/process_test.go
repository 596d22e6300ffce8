package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asAgent makes this test's binary be the agent.
const asAgent = "FAULTLINE_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), asAgent+"=yes")
	return c
}

// address claims a loopback address.
func address(t *testing.T) string {
	t.Helper()
	for {
		prefix := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(256))
		if claim, err := net.Listen("tcp", prefix+"254:8299"); err == nil {
			t.Cleanup(func() { require.NoError(t, claim.Close()) })
			return prefix + "1"
		}
	}
}

// What cannot start says why, once, in its last line, and exits with 1.
func TestExitCodes(t *testing.T) {
	addr := address(t)
	good := []string{"-server", "-bootstrap-expect", "1", "-node", "a", "-bind", addr, "-client", addr}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct {
		name string
		busy string // port
		args []string
		last string
	}{
		{"unknown flag", "", []string{"-colour", "red"}, "flag provided but not defined: -colour"},
		{"no directory", "", good, "-data-dir is missing"},
		{"no such defect", "", append(good, "-data-dir", t.TempDir(), "-defect", "x"), `no defect "x"`},
		{"a file for a directory", "", append(good, "-data-dir", file), "not a directory"},
		{"busy HTTP port", "8500", append(good, "-data-dir", t.TempDir()), addr + ":8500: bind: address already in use"},
		{"busy server port", "8300", append(good, "-data-dir", t.TempDir()), addr + ":8300: bind: address already in use"},
		{"busy gossip port", "8301", append(good, "-data-dir", t.TempDir()), addr + ":8301: bind: address already in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.busy != "" {
				busy, err := net.Listen("tcp", net.JoinHostPort(addr, c.busy))
				require.NoError(t, err)
				defer func() { require.NoError(t, busy.Close()) }()
			}
			said, err := command(c.args...).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 1, exit.ExitCode(), "%s", said)
			lines := strings.Split(strings.TrimSpace(string(said)), "\n")
			last := lines[len(lines)-1]
			require.True(t, strings.HasPrefix(last, "agent: "), last)
			require.Contains(t, last, c.last)
			if c.busy != "" {
				require.Equal(t, 1, strings.Count(string(said), c.last), "%s", said)
			}
		})
	}
}

// It stops on SIGTERM, with 0, and bears SIGKILL.
func TestSignals(t *testing.T) {
	addr, dir := address(t), t.TempDir()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGTERM} {
		c := command("-server", "-bootstrap-expect", "1", "-node", "a", "-bind", addr, "-client", addr, "-data-dir", dir)
		var said bytes.Buffer
		c.Stdout, c.Stderr = &said, &said
		require.NoError(t, c.Start())
		awaitPort(t, addr+":8500")
		require.NoError(t, c.Process.Signal(signal))
		err := c.Wait()
		if signal == syscall.SIGTERM {
			require.NoError(t, err, "%s", &said)
		} else {
			require.Error(t, err)
		}
	}
}

func awaitPort(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			require.NoError(t, conn.Close())
			return
		}
		require.True(t, time.Now().Before(deadline), "%v", err)
	}
}
