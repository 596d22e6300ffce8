package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkout makes a module that is called faultline and whose agent is main.
func checkout(t *testing.T, main string) string {
	root := t.TempDir()
	t.Setenv("GOCACHE", goCache(t))
	t.Setenv(Agent.Env, "")
	t.Setenv("XDG_CACHE_HOME", filepath.Join(root, "cache"))
	below := filepath.Join(root, "cmd", "agent")
	require.NoError(t, os.MkdirAll(below, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "go.mod"), []byte("module faultline\n\ngo 1.26\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(below, "main.go"), []byte(main), 0o644))
	t.Chdir(below)
	return root
}

// goCache is the user's own: XDG_CACHE_HOME would hide it.
func goCache(t *testing.T) string {
	if dir := os.Getenv("GOCACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	require.NoError(t, err)
	return filepath.Join(dir, "go-build")
}

const (
	sound   = "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"faultline agent test\\n\") }\n"
	another = "package main\n\nfunc main() { println(\"faultline agent test\") }\n" // to standard error
)

func TestBuilt(t *testing.T) {
	root := checkout(t, sound)
	require.NoError(t, Agent.Ready(t.Context()))
	path, err := Agent.Path(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(path, root+"/cache/faultline/"), path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o111)
	again, err := Agent.Path(t.Context())
	require.NoError(t, err)
	require.Equal(t, path, again)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{path}, left)
	how, err := Agent.Try(t.Context())
	require.NoError(t, err)
	require.Equal(t, "built from "+root+`; it ran and says "faultline agent test"`, how)
}

// What was built before is built upon only if it runs, and never instead of what the source is now.
func TestBuiltAnew(t *testing.T) {
	root := checkout(t, sound)
	path, err := Agent.Path(t.Context())
	require.NoError(t, err)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for what, content := range map[string][]byte{"is empty": nil, "is a text": []byte("a text"), "lacks its end": good[:len(good)/2]} {
		require.NoError(t, os.WriteFile(path, content, 0o755))
		_, err = Agent.Path(t.Context())
		require.NoError(t, err)
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, good, now, "it %s", what)
	}
	changed := strings.Replace(sound, "test", "of another day", 1)
	require.NoError(t, os.WriteFile(filepath.Join(root, "cmd", "agent", "main.go"), []byte(changed), 0o644))
	how, err := Agent.Try(t.Context())
	require.NoError(t, err)
	require.Contains(t, how, `it ran and says "faultline agent of another day"`)
}

func TestWhatIsBuiltMustRunToo(t *testing.T) {
	checkout(t, another)
	_, err := Agent.Try(t.Context())
	require.ErrorContains(t, err, `is not Faultline's agent, of this version`)
}

func TestWhatDoesNotBuild(t *testing.T) {
	checkout(t, "package main\n\nfunc main() { nonsense }\n")
	require.NoError(t, Agent.Ready(t.Context()), "that takes a build to know")
	for _, make := range []func() error{
		func() error { _, err := Agent.Path(t.Context()); return err },
		func() error { _, err := Agent.Try(t.Context()); return err },
	} {
		require.ErrorContains(t, make(), "undefined: nonsense")
	}
}

func TestOutsideOfACheckout(t *testing.T) {
	t.Setenv(Agent.Env, "")
	t.Chdir(t.TempDir())
	_, err := Agent.Path(t.Context())
	require.ErrorContains(t, err, "no checkout of Faultline")
	require.ErrorContains(t, err, "FAULTLINE_AGENT")
	require.EqualError(t, Agent.Ready(t.Context()), err.Error())
}

func TestWithoutGo(t *testing.T) {
	checkout(t, sound)
	t.Setenv("PATH", "")
	_, err := Agent.Path(t.Context())
	require.ErrorContains(t, err, "install Go, or set FAULTLINE_AGENT")
	require.EqualError(t, Agent.Ready(t.Context()), err.Error())
}
