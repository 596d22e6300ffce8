package faultline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFullDiskIsSaidOnceHoweverMuchItMadeFail(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/store/x/history.jsonl", Err: syscall.ENOSPC}
	err := errors.Join(
		errors.Join(fmt.Errorf("history: %w", full), nil, fmt.Errorf("history: %w", full)),
		&fs.PathError{Op: "mkdir", Path: "/store/x/nodes", Err: syscall.ENOSPC},
		errors.New("the cluster was not removed"),
	)
	require.EqualError(t, fullDisk("/store/x", err),
		"the disk of /store/x is full, make room there: no space left on device\nthe cluster was not removed")
	require.ErrorIs(t, fullDisk("/store/x", err), syscall.ENOSPC)
	require.NoError(t, fullDisk("/store/x", nil))
}

func TestOtherFailuresAreToldInTheirOwnWordsOnceEach(t *testing.T) {
	err := errors.Join(io.ErrUnexpectedEOF, fmt.Errorf("two at once: %w, %w", io.EOF, io.ErrClosedPipe), io.ErrUnexpectedEOF)
	require.EqualError(t, fullDisk("d", err), "unexpected EOF\ntwo at once: EOF, io: read/write on closed pipe")
	require.EqualError(t, brokenOff("d", io.ErrUnexpectedEOF),
		"unexpected EOF; the history up to there stays, and `faultline analyze d` judges it")
}

func TestAnInterruptBeforeTheFirstOperationIsOneLine(t *testing.T) {
	err := cutOff(errors.Join(io.EOF, io.EOF, io.ErrClosedPipe))
	require.EqualError(t, err, "interrupted before the first operation (EOF; io: read/write on closed pipe)")
	require.ErrorIs(t, err, ErrInterrupted)
}

func TestWithout(t *testing.T) {
	require.Empty(t, without(nil, []string{"a"}))
	require.Equal(t, []string{"a", "b"}, without([]string{"a", "b"}, nil))
	require.Equal(t, []string{"a", "c"}, without([]string{"a", "b", "a", "c"}, []string{"a", "b", "d"}), "the same fault may be active twice")
}
