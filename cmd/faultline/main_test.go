package main

import (
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// update rewrites what the tests expect: the scripts' files and the stored results.
var update = flag.Bool("update", false, "rewrite the expected outputs")

// TestMain makes the test binary be the command faultline too, for scripts and for tests
// that send signals to it.
func TestMain(m *testing.M) {
	endAtOnce()
	commands := map[string]func(){"faultline": main}
	for name, work := range broken {
		commands[name] = brokenMain(work)
	}
	testscript.Main(m, commands)
}

// raceSettings are those of the race detector: https://go.dev/doc/articles/race_detector#Options.
const raceSettings = "GORACE"

// endAtOnce has the race detector of a command not sleep before it ends, which it does for a second
// in the supervisor and for another in its child. Races are reported as they are seen; the sleep is
// for those of goroutines that go on when main has returned.
func endAtOnce() {
	if err := os.Setenv(raceSettings, "atexit_sleep_ms=0 "+os.Getenv(raceSettings)); err != nil {
		panic(err)
	}
}

// TestScripts plays the transcripts of testdata/script. None of them reaches an engine;
// those that run clusters are in cluster_test.go.
func TestScripts(t *testing.T) {
	runs, err := filepath.Abs(filepath.Join("testdata", "runs"))
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"engine": silentEngine,
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, errors.New("unknown condition " + name)
			}
			return os.Getuid() == 0, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("RUNS", runs)
			e.Setenv(raceSettings, os.Getenv(raceSettings))
			e.Setenv("NO_COLOR", "1")
			e.Setenv("ESC", "\x1b")
			e.Setenv("DOCKER_HOST", "unix:///nonexistent.sock")
			return nil
		},
	})
}

// exits runs a command that must end with an exit code: exits 254 faultline test bad.yaml
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// silentEngine makes an engine of which every call hangs: engine.sock accepts
// connections, and nobody ever answers.
func silentEngine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || args[0] != "silent" {
		ts.Fatalf("usage: engine silent")
	}
	socket := ts.MkAbs("engine.sock")
	listener, err := net.Listen("unix", socket)
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	go func() {
		var held []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			conn.Close()
		}
	}()
	ts.Setenv("DOCKER_HOST", "unix://"+socket)
}
