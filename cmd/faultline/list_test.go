package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTextsAreWrappedBehindTheirNames(t *testing.T) {
	require.Equal(t, [][]string{
		{"kill", "Ends processes by SIGKILL and"}, {"", "starts them again."}, {"", "and more"},
		{"a-longer-name", "x"}, {"alone"},
	}, wrappedLines([][]string{{"kill", "Ends processes by SIGKILL and starts them again.", "and more"}, {"a-longer-name", "x"}, {"alone"}}, 20))
}
