package programs

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func withEmbedded(t *testing.T, content string) {
	before := programFiles
	programFiles = fstest.MapFS{"embedded/agent": {Data: []byte(content)}}
	t.Cleanup(func() { programFiles = before })
	t.Setenv(Agent.Env, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("PATH", "") // there is no go command
	t.Chdir(t.TempDir())
}

func TestEmbeddedProgramsAreUnpackedByTheirContent(t *testing.T) {
	withEmbedded(t, "one version")
	require.NoError(t, Agent.Ready(t.Context()), "it takes neither Go nor a checkout")
	require.ErrorContains(t, Injector.Ready(t.Context()), "install Go", "that one is not there")
	path, err := Agent.Path(t.Context())
	require.NoError(t, err)
	again, err := Agent.Path(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, again)

	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, []byte("something else"), 0o600))
	path, err = Agent.Path(t.Context())
	require.NoError(t, err)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one version", string(content), "what somebody has put in its place is not believed")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o111)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{path}, left)

	programFiles = fstest.MapFS{"embedded/agent": {Data: []byte("another version")}}
	other, err := Agent.Path(t.Context())
	require.NoError(t, err)
	require.NotEqual(t, path, other)
}

func TestANamedProgramComesBeforeTheEmbedded(t *testing.T) {
	withEmbedded(t, "one version")
	t.Setenv(Agent.Env, "/nowhere")
	_, err := Agent.Path(t.Context())
	require.ErrorContains(t, err, "FAULTLINE_AGENT names no agent that can run in a pod")
}

func TestWhatIsEmbeddedMustRunToo(t *testing.T) {
	withEmbedded(t, "no program")
	_, err := Agent.Try(t.Context())
	require.ErrorContains(t, err, "is no program of Linux")
}

func TestAModuleThatRequiresFaultlineBuildsFromThere(t *testing.T) {
	root := checkout(t, sound)
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/mine\n\ngo 1.26\n\nrequire "+modulePath+" v0.0.0\n\nreplace "+modulePath+" => "+root+"\n"), 0o644))
	t.Chdir(other)
	require.NoError(t, Agent.Ready(t.Context()))
	how, err := Agent.Try(t.Context())
	require.NoError(t, err)
	require.Contains(t, how, "built from "+root)

	require.NoError(t, os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/mine\n\ngo 1.26\n"), 0o644))
	require.ErrorContains(t, Agent.Ready(t.Context()), "in no module that requires it")
}
