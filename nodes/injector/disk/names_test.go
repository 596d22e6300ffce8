//go:build linux

package disk

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// What outlasts a loss of power, as shell commands: "sync FILE" is fsync, "sync -d FILE" fdatasync, of a directory too. Each begins
// with what is durable by both models: o with the content "old", and the directory k. The rest is what is listed afterwards:
// paths, with the content of files.
func TestWhichNamesOutlastALossOfPower(t *testing.T) {
	m := mountedDisk(t)
	for _, c := range []struct{ commands, journaled, posix string }{
		{"echo x >a", "k/ o=old", "k/ o=old"},
		{"echo x >a; sync a", "a=x k/ o=old", "k/ o=old"},
		{"echo x >a; sync -d a", "a=x k/ o=old", "k/ o=old"},
		{"echo x >a; sync a .", "a=x k/ o=old", "a=x k/ o=old"},
		{"echo x >a; sync .", "a= k/ o=old", "a= k/ o=old"},
		{"echo x >a; echo y >b; sync b", "b=y k/ o=old", "k/ o=old"},
		{"mkdir -p d/e; echo x >d/e/a; sync d/e/a", "d/ d/e/ d/e/a=x k/ o=old", "k/ o=old"},
		{"mkdir -p d/e; sync d/e", "d/ d/e/ k/ o=old", "k/ o=old"},
		{"mkdir -p d/e; sync d", "d/ d/e/ k/ o=old", "k/ o=old"},
		{"mkdir -p d/e; sync .", "d/ k/ o=old", "d/ k/ o=old"},

		{"mv o a", "k/ o=old", "k/ o=old"},
		{"mv o a; sync a", "a=old k/", "k/ o=old"},
		{"mv o a; sync -d a", "k/ o=old", "k/ o=old"},
		{"mv o a; echo more >>a; sync -d a", "a=old,more k/", "k/ o=old,more"},
		{"mv o k/a; sync k/a", "k/ k/a=old", "k/ o=old"},
		{"mv o k/a; sync k", "k/ k/a=old", "k/ k/a=old"},
		{"mv o k/a; sync .", "k/ k/a=old", "k/ k/a=old"},
		{"mv k l; echo x >l/a; sync l/a", "l/ l/a=x o=old", "k/ o=old"},

		{"echo new >t; sync t; mv t o", "k/ o=old t=new", "k/ o=old"},
		{"echo new >t; mv t o", "k/ o=old", "k/ o=old"},
		{"echo new >t; sync t; mv t o; sync o", "k/ o=new", "k/ o=old"},
		{"echo new >t; sync t; mv t o; sync .", "k/ o=new", "k/ o=new"},
		{"echo new >t; sync t; mv t o; echo next >t; sync t", "k/ o=new t=next", "k/ o=old"},
		{"mv o a; echo new >o; sync o", "a=old k/ o=new", "k/ o=old"},
		{"mv o k/o; sync k/o; mv k/o a; rmdir k; echo x >k; sync k", "a=old k=x", "k/ o=old"},

		{"rm o", "k/ o=old", "k/ o=old"},
		{"rm o; echo x >a; sync a", "a=x k/ o=old", "k/ o=old"},
		{"rm o; sync .", "k/", "k/"},
		{"ln o a; sync a", "a=old k/ o=old", "k/ o=old"},
		{"ln o a; rm o; sync a", "a=old k/", "k/ o=old"},
		{"exec 3<o; rm o; python3 -c 'import os; os.fsync(3)'", "k/ o=old", "k/ o=old"},
	} {
		for _, by := range []faults.Names{faults.NamesJournaled, faults.NamesPOSIX} {
			require.NoError(t, m.Wipe())
			m.shell(t, "echo old >o; mkdir k; sync o k .")
			m.shell(t, c.commands)
			loss, err := m.PowerLoss(0, by)
			require.NoError(t, err)
			require.Equal(t, Canary{Synced: true, Named: by == faults.NamesJournaled, Lost: true}, loss.Canary)
			require.Equal(t, map[faults.Names]string{faults.NamesJournaled: c.journaled, faults.NamesPOSIX: c.posix}[by], m.listing(t), "%s (%s)", c.commands, by)
		}
	}
	_, err := m.PowerLoss(0, "other")
	require.ErrorContains(t, err, "want journaled or posix")
}

// shellIn runs shell commands in a directory below a mount that this process serves. The shell goes
// there itself: were it started there (Cmd.Dir), this process would wait in its own file system until the
// new one has been executed, in a call for which the runtime does not give up its thread, so that
// a collection of garbage that begins meanwhile stops whoever has to answer, for good.
func shellIn(dir, commands string) *exec.Cmd {
	return exec.Command("sh", "-ec", `cd "$0"; eval "$1"`, dir, commands)
}

func (m mounted) shell(t *testing.T, commands string) {
	t.Helper()
	cmd := shellIn(m.at, commands)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", commands, out)
}

// listing is all that there is, sorted, in one line.
func (m mounted) listing(t *testing.T) string {
	t.Helper()
	cmd := shellIn(m.at, `find . -mindepth 1 | sort | while read f; do
		if test -d "$f"; then echo "$f/"; else echo "$f=$(tr '\n' , <"$f")"; fi; done`)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	var words []string
	for _, line := range strings.Fields(string(out)) {
		words = append(words, strings.TrimSuffix(strings.TrimPrefix(line, "./"), ","))
	}
	return strings.Join(words, " ")
}

// A lie makes nothing durable, whatever the model, and all when it ends.
func TestALieKeepsNoNames(t *testing.T) {
	m := mountedDisk(t)
	require.NoError(t, m.Set(faults.Disk{Lie: true}))
	m.shell(t, "echo x >a; sync a .")
	loss, err := m.PowerLoss(0, faults.NamesJournaled)
	require.NoError(t, err)
	require.Equal(t, Canary{Lost: true}, loss.Canary)
	require.Empty(t, m.listing(t))
	m.shell(t, "echo x >a; sync a .")
	require.NoError(t, m.Set(faults.Disk{}))
	_, err = m.PowerLoss(0, faults.NamesPOSIX)
	require.NoError(t, err)
	require.Equal(t, "a=x", m.listing(t))
}
