//go:build unix

// Package lock locks files and directories for as long as a process holds them open (flock(2)). The kernel gives a lock
// up when its holder ends, however it ends, and knows of it in every pid namespace: so a lock says who lives where a pid
// cannot.
//
//	dir, err := os.Open("run")
//	free, err := lock.Try(dir) // until dir.Close, or the end of this process
//
// It is not for network file systems that keep locks to one machine, nor against programs that do not ask.
package lock

import (
	"errors"
	"os"
	"syscall"
)

// Take locks an open file or directory for this process alone, as soon as nobody else has it locked. Closing
// it gives the lock up.
func Take(f *os.File) error { return flock(f, syscall.LOCK_EX) }

// Try is Take without waiting. It reports whether nobody else had it locked.
func Try(f *os.File) (free bool, err error) {
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Release gives a lock up, and leaves the file open.
func Release(f *os.File) error { return flock(f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
		return nil
	}
}
