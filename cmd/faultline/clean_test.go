package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/local"
	"faultline/nodes/programs"
)

// A machine without Docker has nothing that clean could miss.
func TestCleanOnAMachineWithoutDocker(t *testing.T) {
	unlessRequired(t, mountTrial(t.TempDir()), "needs to mount a tmpfs in a namespace")
	for _, name := range []string{"DOCKER_HOST", "DOCKER_URL", "DOCKER_MACHINE_NAME"} {
		t.Setenv(name, "")
	}
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	h := start(t, inNamespace("mount -t tmpfs tmpfs $(readlink -f /var/run)"), "clean")
	require.Zero(t, h.exits(), h.said())
	require.Equal(t, "\n", h.said())
	require.Regexp(t, `^note: docker: nothing to clean: no Docker engine answers at unix:///var/run/docker.sock[^\n]*\n0 things removed\n$`, h.stdout.String())
}

// A user without permissions learns which, and all else is done.
func TestCleanWithoutPermission(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nonexistent.sock")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	base := filepath.Join(os.TempDir(), "faultline-"+userID(t))
	require.NoError(t, os.Symlink(t.TempDir(), base))
	h := start(t, nil, "clean")
	require.Equal(t, exitUsage, h.exits())
	require.Contains(t, h.said(), "local: "+base+" is not a directory that only this user can write to and put in its place: remove it, or set TMPDIR")
	require.Contains(t, h.said(), "docker: no Docker engine answers at unix:///nonexistent.sock")
	require.Contains(t, h.said(), "what is left there was not looked at")
}

func userID(t *testing.T) string {
	out, err := exec.Command("id", "-u").Output()
	require.NoError(t, err)
	return string(out[:len(out)-1])
}

// The agent is not looked at by what tries the runtime, but before anything of the run is made.
func TestARunWithABinaryThatIsAnother(t *testing.T) {
	if err := local.New().Check(t.Context()); err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skipf("needs the runtime local: %v", err)
	}
	injector, err := programs.Injector.Path(t.Context())
	require.NoError(t, err)
	t.Setenv("FAULTLINE_INJECTOR", injector)
	t.Setenv("FAULTLINE_AGENT", injector) // a mistake that is easily made
	store := filepath.Join(t.TempDir(), "store")
	h := start(t, nil, "test", "--runtime", "local", "--store", store)
	require.Equal(t, exitUsage, h.exits(), h.said())
	require.Regexp(t, "^faultline: FAULTLINE_AGENT names no agent that can run in a pod: .* is not Faultline's agent, of this version: asked by `.* version` "+
		`it should say .faultline agent …. \(it said "faultline injector [^"]*"\); build one in a checkout`, h.said())
	require.NoDirExists(t, store)
}
