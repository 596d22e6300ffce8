package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"faultline/nodes"
)

const temporarySuffix = ".tmp"

// makeDir makes a directory, and those above it, that survive a loss of power.
func makeDir(disk nodes.Disk, dir string) error {
	dir = path.Clean(dir)
	if err := disk.MkdirAll(dir); err != nil {
		return err
	}
	above := "."
	for part := range strings.SplitSeq(dir, "/") {
		if err := disk.SyncDir(above); err != nil {
			return err
		}
		above = path.Join(above, part)
	}
	return nil
}

// replaceFile makes a file hold data: after a crash it holds all of the old or all of
// the new.
func replaceFile(disk nodes.Disk, name string, data []byte) error {
	temporary := name + temporarySuffix
	f, err := disk.Open(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := disk.Rename(temporary, name); err != nil {
		return err
	}
	return disk.SyncDir(path.Dir(name))
}

// readFile reads a file; found is false if it does not exist.
func readFile(disk nodes.Disk, name string) (data []byte, found bool, err error) {
	f, err := disk.Open(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	data, err = io.ReadAll(f)
	return data, true, errors.Join(err, f.Close())
}
