//go:build linux

package local

import (
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
