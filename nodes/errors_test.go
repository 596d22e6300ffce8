package nodes

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestTheTableOfCodesAgreesWithItself(t *testing.T) {
	for _, code := range history.Codes() {
		require.True(t, code.Known())
		if code.Final() {
			require.True(t, code.Definite(), "%s: who knows that it would be the same again knows that it did nothing", code)
		}
		if code.Served() {
			require.True(t, code.Final(), "%s is an answer", code)
		}
	}
	for _, code := range []history.Code{history.CASMismatch, history.NoSession, history.LockHeld, history.BadRequest, history.NotFound} {
		require.True(t, code.Final(), code)
	}
	for _, code := range []history.Code{history.Unknown, "of no table"} {
		require.False(t, code.Definite() || code.Final() || code.Served(), code)
	}
}
