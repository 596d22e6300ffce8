//go:build linux

package programs

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errSilent = errors.New("silent")

// program builds a program for a pod, and returns its file.
func program(t *testing.T, source string, env ...string) (path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(path+".go", []byte(source), 0o644))
	build := exec.Command("go", "build", "-trimpath", "-o", path, path+".go")
	build.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

// refused requires that a ready agent is refused before a run, in a run, and when it is tried, all with the variable and the way out.
func refused(t *testing.T, path, why string) {
	t.Helper()
	t.Setenv(Agent.Env, path)
	_, pathErr := Agent.Path(t.Context())
	_, tryErr := Agent.Try(t.Context())
	for _, err := range []error{Agent.Ready(t.Context()), pathErr, tryErr} {
		require.ErrorContains(t, err, "FAULTLINE_AGENT names no agent that can run in a pod: ")
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, why)
		require.ErrorContains(t, err, "build one in a checkout of Faultline by `CGO_ENABLED=0 go build ./cmd/agent`")
	}
}

func TestAReadyBinary(t *testing.T) {
	path := program(t, sound)
	t.Setenv(Agent.Env, path)
	require.NoError(t, Agent.Ready(t.Context()))
	got, err := Agent.Path(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, got)
	how, err := Agent.Try(t.Context())
	require.NoError(t, err)
	require.Equal(t, "FAULTLINE_AGENT: "+path+`; it ran and says "faultline agent test"`, how)

	t.Chdir(filepath.Dir(path))
	t.Setenv(Agent.Env, "./program")
	got, err = Agent.Path(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, got, "pods have another working directory")

	t.Setenv(Injector.Env, path)
	require.ErrorContains(t, Injector.Ready(t.Context()), "is not Faultline's injector", "each by its own name")

	require.NoError(t, os.WriteFile(path, []byte("broken"), 0o755))
	require.ErrorContains(t, Agent.Ready(t.Context()), "no program of Linux", "what was good is looked at again when it changes")
}

func TestReadyFilesThatAreNoPrograms(t *testing.T) {
	dir := t.TempDir()
	refused(t, filepath.Join(dir, "missing"), "no such file")
	refused(t, dir, "no regular file")
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\necho faultline agent test\n"), 0o600))
	refused(t, file, "no executable file")
	require.NoError(t, os.Chmod(file, 0o700))
	refused(t, file, "no program of Linux")
}

func TestReadyProgramsThatPodsCannotExecute(t *testing.T) {
	dynamic, err := exec.LookPath("true")
	require.NoError(t, err)
	if f, err := elf.Open(dynamic); err == nil && f.Section(".interp") != nil { // not where all is one static program
		refused(t, dynamic, "linked dynamically")
	}
	path := program(t, sound)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	const machineAt, other = 18, elf.EM_MIPS // e_machine of elf(5)
	binary.NativeEndian.PutUint16(content[machineAt:], uint16(other))
	require.NoError(t, os.WriteFile(path, content, 0o755))
	refused(t, path, "for another kind of machine: EM_MIPS")
}

func TestReadyProgramsThatAreOthers(t *testing.T) {
	refused(t, program(t, "package main\n\nfunc main() {}\n"), `it said ""`)
	refused(t, program(t, another), `it said ""`)
	refused(t, program(t, "package main\n\nimport \"os\"\n\nfunc main() { os.Exit(3) }\n"), "exit status 3")
	refused(t, program(t, "package main\n\nimport \"fmt\"\n\nfunc main() { for range 100000 { fmt.Println(\"faultline agent x\") } }\n"), "is not Faultline's agent")
	if os.Geteuid() == 0 { // what it would do to its argument it cannot do there: that is /proc/version; and it has no environment
		refused(t, program(t, "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() { fmt.Println(os.WriteFile(os.Args[1], nil, 0o600), len(os.Environ())) }\n"),
			`write version: input/output error 0`)
	}
}

func TestAProgramThatNeverAnswers(t *testing.T) {
	path := program(t, "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errSilent)
	defer cancel()
	_, err := Agent.askVersion(ctx, path)
	require.ErrorIs(t, err, errSilent)
	require.ErrorContains(t, err, path)
}

// The real ones say what they are.
func TestTheProgramsOfThisCheckout(t *testing.T) {
	for _, p := range All() {
		t.Setenv(p.Env, "")
		how, err := p.Try(t.Context())
		require.NoError(t, err)
		require.Contains(t, how, `it ran and says "faultline `+p.Name+" ")
	}
}
