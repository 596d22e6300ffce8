package agent

import (
	"errors"
	"os"

	"faultline/nodes"
)

// noDirFsyncDisk is a disk for the defect no-dir-fsync: it syncs files, after a rename too, and never a directory.
type noDirFsyncDisk struct{ nodes.Disk }

func (noDirFsyncDisk) SyncDir(string) error { return nil }

func (d noDirFsyncDisk) Rename(from, to string) error {
	if err := d.Disk.Rename(from, to); err != nil {
		return err
	}
	f, err := d.Open(to, os.O_RDONLY)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
