package injector

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRightsComeBackAsTheyWere(t *testing.T) {
	for _, r := range []Rights{{}, {Clock: true}, {Disk: true}, {Clock: true, Disk: true}} {
		got, err := ParseRights(r.Words())
		require.NoError(t, err)
		require.Equal(t, r, got)
		line, err := json.Marshal(r)
		require.NoError(t, err)
		var again Rights
		require.NoError(t, json.Unmarshal(line, &again))
		require.Equal(t, r, again)
	}
	require.Equal(t, []string{"clock", "disk"}, Rights{Clock: true, Disk: true}.Words())
	for _, bad := range []string{"", "Clock", "clock disk", "all"} {
		_, err := ParseRights([]string{RightDisk, bad})
		require.ErrorContains(t, err, "want clock or disk", bad)
	}
}

func FuzzParseRights(f *testing.F) {
	f.Add("clock", "disk")
	f.Add("disk", "")
	f.Fuzz(func(t *testing.T, a, b string) {
		r, err := ParseRights([]string{a, b})
		if err != nil {
			return
		}
		require.Subset(t, []string{RightClock, RightDisk}, []string{a, b}, "no other words are taken")
		again, err := ParseRights(r.Words())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
