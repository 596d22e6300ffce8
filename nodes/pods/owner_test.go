package pods

import (
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestOwners(t *testing.T) {
	o := Owner{pid: 12, start: 345, boot: "6b1b-77"}
	got, err := parseOwner(o.String())
	require.NoError(t, err)
	require.Equal(t, o, got)
	for _, bad := range []string{"", "1", "1.2", "1.2.", "x.2.b", "1.x.b", "1.2.b.c"} {
		_, err := parseOwner(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseOwner(f *testing.F) {
	f.Add("12.345.6b1b-77")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := parseOwner(text)
		if err != nil {
			return
		}
		again, err := parseOwner(o.String())
		require.NoError(t, err)
		require.Equal(t, o, again)
	})
}

func TestWhoseOwnerIsAlive(t *testing.T) {
	me, err := Self(os.DirFS("/proc"))
	require.NoError(t, err)
	alive, err := Liveness(os.DirFS("/proc"))
	require.NoError(t, err)
	require.True(t, alive(me.String()))
	require.False(t, alive(Owner{me.pid, me.start + 1, me.boot}.String()), "the pid came again")
	require.False(t, alive(Owner{me.pid, me.start, "before"}.String()), "the machine has restarted")
	require.False(t, alive(Owner{1 << 30, me.start, me.boot}.String()), "no such process")
	require.False(t, alive(""))
}

func TestStartTimeOfAProcessWithAnOddName(t *testing.T) {
	proc := fstest.MapFS{
		"7/stat": {Data: []byte("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21")},
		"8/stat": {Data: []byte("8 (short) S 1")},
	}
	got, err := startTime(proc, 7)
	require.NoError(t, err)
	require.EqualValues(t, 4242, got)
	_, err = startTime(proc, 8)
	require.ErrorContains(t, err, "not a line")
}
