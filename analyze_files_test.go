package faultline

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/checker/rundir"
)

// aStoredRun copies a run that was made for real.
func aStoredRun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("cmd", "faultline", "testdata", "runs", "invalid"))))
	return dir
}

// Whoever unpacks a run directory of a stranger and judges it changes nothing outside of it.
func TestNothingIsWrittenThroughLinks(t *testing.T) {
	victims := t.TempDir()
	victim := filepath.Join(victims, "victim")
	for _, name := range []string{rundir.ResultsFile, rundir.ReportFile, rundir.JUnitFile, rundir.SummaryFile, rundir.PicturesDir} {
		for _, suffix := range []string{"", ".new"} {
			t.Run(name+suffix, func(t *testing.T) {
				dir := aStoredRun(t)
				require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
				path := filepath.Join(dir, name+suffix)
				require.NoError(t, os.RemoveAll(path))
				target := victim
				if name == rundir.PicturesDir {
					target = victims
				}
				require.NoError(t, os.Symlink(target, path))
				_, err := Analyze(t.Context(), dir)
				require.NoError(t, err)
				text, err := os.ReadFile(victim)
				require.NoError(t, err)
				require.Equal(t, "precious", string(text))
				left, err := os.ReadDir(victims)
				require.NoError(t, err)
				require.Len(t, left, 1)
				if suffix == "" {
					info, err := os.Lstat(path)
					require.NoError(t, err)
					require.Zero(t, info.Mode()&os.ModeSymlink, "what was written stands there itself")
				}
			})
		}
	}
}

// What is no regular file is refused by name, and holds nobody up.
func TestOnlyRegularFilesOfARunDirectoryAreRead(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	for _, name := range []string{rundir.ScenarioFile, rundir.TopologyFile, rundir.RecordFile, rundir.ScheduleFile, rundir.ResolvedFile, rundir.HistoryFile} {
		for kind, plant := range map[string]func(string) error{
			"a link": func(path string) error {
				data, err := os.ReadFile(path)
				if err == nil {
					err = os.WriteFile(outside, data, 0o600)
				}
				if err == nil {
					err = os.Remove(path)
				}
				if err == nil {
					err = os.Symlink(outside, path)
				}
				return err
			},
			"a FIFO": func(path string) error {
				if err := os.Remove(path); err != nil {
					return err
				}
				return unix.Mkfifo(path, 0o600)
			},
			"a folder": func(path string) error {
				if err := os.Remove(path); err != nil {
					return err
				}
				return os.Mkdir(path, 0o700)
			},
		} {
			t.Run(name+" is "+kind, func(t *testing.T) {
				dir := aStoredRun(t)
				require.NoError(t, plant(filepath.Join(dir, name)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_, err := Analyze(ctx, dir)
				require.ErrorAs(t, err, new(*UsageError))
				require.ErrorContains(t, err, name)
				require.ErrorContains(t, err, "is no regular file")
			})
		}
	}
}

func TestLargeTextsAreRefused(t *testing.T) {
	dir := aStoredRun(t)
	f, err := os.OpenFile(filepath.Join(dir, rundir.TopologyFile), os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(16<<20+1))
	require.NoError(t, f.Close())
	_, err = Analyze(t.Context(), dir)
	require.ErrorContains(t, err, "topology.yaml is larger than 16 MiB")
}

func TestAFolderInTheWayOfAReport(t *testing.T) {
	dir := aStoredRun(t)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, rundir.ReportFile)))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, rundir.ReportFile, "full"), 0o755))
	_, err := Analyze(t.Context(), dir)
	require.ErrorContains(t, err, rundir.ReportFile)
	left, err := filepath.Glob(filepath.Join(dir, rundir.ReportFile+".*"))
	require.NoError(t, err)
	require.Empty(t, left, "nothing half written is left")
}
