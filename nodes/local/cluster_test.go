//go:build linux

package local

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/pods/podstest"
)

func TestName(t *testing.T) {
	require.Equal(t, "local", New().Name())
}

func TestANodeHasABareRoot(t *testing.T) {
	place := podstest.Ask(t, up(t, "bare"), s1).Place
	require.Equal(t, "bin data dev etc proc tmp", place["root"])
	require.Equal(t, "/", place["dir"])
}

func TestADirectoryThatOthersCanWriteToIsRefused(t *testing.T) {
	dir := t.TempDir()
	own := dir + "/own"
	require.NoError(t, makeBase(own))
	require.NoError(t, makeBase(own))
	require.NoError(t, os.Chmod(own, 0o777))
	require.ErrorContains(t, makeBase(own), "only this user can write to")
	require.NoError(t, os.Symlink(dir, dir+"/link"))
	require.ErrorContains(t, makeBase(dir+"/link"), "only this user can write to")
}
