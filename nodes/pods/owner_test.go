package pods

import (
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOwners(t *testing.T) {
	o := Owner{pid: 12, start: 345, boot: "6b1b-77"}
	got, err := parseOwner(o.String())
	require.NoError(t, err)
	require.Equal(t, o, got)
	o.space = "4026531836"
	got, err = parseOwner(o.String())
	require.NoError(t, err)
	require.Equal(t, o, got)
	for _, bad := range []string{"", "1", "1.2", "1.2.", "x.2.b", "1.x.b", "1.2.b.", "1.2.b.c.d"} {
		_, err := parseOwner(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseOwner(f *testing.F) {
	f.Add("12.345.6b1b-77")
	f.Add("12.345.6b1b-77.4026531836")
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
	require.NotEmpty(t, me.space)
	state, err := Owners(os.DirFS("/proc"))
	require.NoError(t, err)
	of := func(edit func(*Owner)) OwnerState {
		o := me
		edit(&o)
		return state(o.String())
	}
	require.Equal(t, Alive, of(func(o *Owner) {}))
	require.Equal(t, Alive, of(func(o *Owner) { o.space = "" }), "the form of old")
	require.Equal(t, Gone, of(func(o *Owner) { o.start++ }), "the pid came again")
	require.Equal(t, Unseen, of(func(o *Owner) { o.boot = "another" }), "the machine has restarted, or it is in a sandbox that has its own")
	require.Equal(t, Unseen, of(func(o *Owner) { o.space, o.pid = "", 1<<30 }), "the form of old may be of any pid namespace")
	require.Equal(t, Gone, of(func(o *Owner) { o.pid = 1 << 30 }), "no such process")
	require.Equal(t, Unseen, of(func(o *Owner) { o.space = "1" }), "its pid means another process here, or none")
	require.Equal(t, Unseen, of(func(o *Owner) { o.space, o.pid = "1", 1<<30 }))
	require.Equal(t, Gone, state(""))
}

// A process that is dead and was not waited for has a line in /proc still.
func TestAZombieOwnsNothing(t *testing.T) {
	child := exec.Command("true")
	require.NoError(t, child.Start())
	proc := os.DirFS("/proc")
	var start uint64
	require.Eventually(t, func() bool {
		ticks, dead, err := startTime(proc, child.Process.Pid)
		start = ticks
		return err == nil && dead
	}, time.Minute, time.Millisecond)
	me, err := Self(proc)
	require.NoError(t, err)
	state, err := Owners(proc)
	require.NoError(t, err)
	require.Equal(t, Gone, state(Owner{child.Process.Pid, start, me.boot, me.space}.String()))
	require.NoError(t, child.Wait())
}

func TestStartTimeOfAProcessWithAnOddName(t *testing.T) {
	proc := fstest.MapFS{
		"7/stat": {Data: []byte("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21")},
		"8/stat": {Data: []byte("8 (short) S 1")},
	}
	got, _, err := startTime(proc, 7)
	require.NoError(t, err)
	require.EqualValues(t, 4242, got)
	_, _, err = startTime(proc, 8)
	require.ErrorContains(t, err, "not a line")
}

// procfs may hide what belongs to others (hidepid): that is not there, and has not ended.
func TestAHiddenProcessHasNotEnded(t *testing.T) {
	hiding := hidden{os.DirFS("/proc"), strconv.Itoa(os.Getppid())}
	me, err := Self(hiding)
	require.NoError(t, err)
	state, err := Owners(hiding)
	require.NoError(t, err)
	other := me
	other.pid = os.Getppid()
	require.Equal(t, Unseen, state(other.String()))
}

type hidden struct {
	fs.FS
	pid string
}

func (h hidden) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, h.pid+"/") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return h.FS.Open(name)
}

func (h hidden) ReadLink(name string) (string, error) { return fs.ReadLink(h.FS, name) }

func (h hidden) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(h.FS, name) }
