package nodes

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABinaryInGoTellsWhereItCameFrom(t *testing.T) {
	dir := t.TempDir()
	for _, tool := range []string{"go", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.Output()
		require.NoError(t, err, cmd)
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	program := filepath.Join(t.TempDir(), "program")
	write("go.mod", "module example.com/thing\n\ngo 1.26\n")
	write("main.go", "package main\n\nfunc main() {}\n")
	run("git", "init", "-q")
	run("git", "add", ".")
	run("git", "-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "first")
	revision := run("git", "rev-parse", "HEAD")
	run("go", "build", "-ldflags=-s -w", "-buildvcs=true", "-o", program)

	got, err := ReadBinary(program)
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(content)), got.SHA256)
	require.EqualValues(t, len(content), got.Size)
	require.NotNil(t, got.Go)
	require.Contains(t, got.Go.Version, revision[:12], "a version of the commit's")
	got.Go.Version = ""
	require.Equal(t, GoBinary{Toolchain: runtime.Version(), Path: "example.com/thing", Module: "example.com/thing", Revision: revision}, *got.Go)

	write("main.go", "package main\n\nfunc main() { println() }\n")
	run("go", "build", "-buildvcs=true", "-o", program)
	changed, err := ReadBinary(program)
	require.NoError(t, err)
	require.NotEqual(t, got.SHA256, changed.SHA256)
	require.Equal(t, revision, changed.Go.Revision)
	require.True(t, changed.Go.Modified)

	run("go", "build", "-buildvcs=false", "-o", program)
	bare, err := ReadBinary(program)
	require.NoError(t, err)
	require.Empty(t, bare.Go.Revision)
	require.Equal(t, "(devel)", bare.Go.Version)
}

func TestABinaryThatIsNotInGo(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	got, err := ReadBinary(script)
	require.NoError(t, err)
	require.Equal(t, Binary{SHA256: "a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf", Size: 10}, got)
	_, err = ReadBinary(script + "-absent")
	require.ErrorIs(t, err, os.ErrNotExist)
}
