package clean

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/nodes"
)

// cleanWith cleans where each kind ends with one of errs, after it has removed something.
func cleanWith(ctx context.Context, errs ...error) (lines []string, err error) {
	var cleaners []Cleaner
	for i, err := range errs {
		name := fmt.Sprintf("kind %d", i)
		cleaners = append(cleaners, Cleaner{Kind: name, Clean: func(context.Context) (nodes.Cleaned, error) {
			return nodes.Cleaned{Removed: []string{name}, Left: []string{name}}, err
		}})
	}
	tell := func(kind string) func(string) { return func(line string) { lines = append(lines, kind+" "+line) } }
	return lines, Run(ctx, cleaners, Show{Removed: tell("removed"), Left: tell("left"), Note: tell("note")})
}

func TestCleanSaysWhatItCouldNotDo(t *testing.T) {
	refused := &fs.PathError{Op: "unlinkat", Path: "x", Err: syscall.EACCES}
	slow := fmt.Errorf("the engine does not answer: %w", nodes.ErrUnlooked)
	broken := &fs.PathError{Op: "unlinkat", Path: "x", Err: syscall.EIO}
	for _, c := range []struct {
		name   string
		errs   []error
		usage  bool
		failed []string
	}{
		{"all is done", []error{nil, nil}, false, nil},
		{"no permission", []error{refused, nil}, true, []string{"kind 0: unlinkat x: permission denied"}},
		{"out of reach", []error{nil, slow}, true, []string{"kind 1: the engine does not answer"}},
		{"broken", []error{broken, nil}, false, []string{"kind 0: unlinkat x: input/output error"}},
		{"one of many is broken", []error{errors.Join(refused, broken), slow}, false,
			[]string{"kind 0: unlinkat x: permission denied", "kind 0: unlinkat x: input/output error", "kind 1: the engine"}},
		{"many that can be fixed", []error{errors.Join(refused, refused), refused}, true, []string{"kind 0", "kind 1"}},
	} {
		lines, err := cleanWith(t.Context(), c.errs...)
		require.Equal(t, []string{"removed kind 0", "left kind 0", "removed kind 1", "left kind 1"}, lines, "%s: none is left out", c.name)
		require.Equal(t, len(c.failed) > 0, err != nil, c.name)
		require.Equal(t, c.usage, errors.As(err, new(*faultline.UsageError)), c.name)
		for _, text := range c.failed {
			require.ErrorContains(t, err, text, c.name)
		}
	}
}

func TestCleanWhereThereIsNothingToLookAt(t *testing.T) {
	lines, err := cleanWith(t.Context(), fmt.Errorf("%w: no engine", nodes.ErrAbsent))
	require.NoError(t, err)
	require.Equal(t, "note kind 0: nothing to clean: not on this machine: no engine", lines[len(lines)-1])
}

func TestAnInterruptedCleanSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	lines, err := cleanWith(ctx, errors.New("listing: context canceled"), nil)
	require.ErrorIs(t, err, faultline.ErrInterrupted)
	require.Equal(t, []string{"removed kind 0", "left kind 0"}, lines)
}

func TestCleanLooksAtEveryRuntime(t *testing.T) {
	var names []string
	for _, c := range All() {
		names = append(names, c.Kind)
	}
	for _, line := range faultline.Default().Runtimes {
		require.Contains(t, names, line.Name)
	}
}
