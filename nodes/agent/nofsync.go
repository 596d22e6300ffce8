package agent

import "faultline/nodes"

// noFsyncDisk is a disk for the defect no-fsync: every sync succeeds and does nothing.
type noFsyncDisk struct{ nodes.Disk }

type noFsyncFile struct{ nodes.File }

func (d noFsyncDisk) Open(name string, flag int) (nodes.File, error) {
	f, err := d.Disk.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return noFsyncFile{f}, nil
}

func (noFsyncDisk) SyncDir(string) error { return nil }
func (noFsyncFile) Sync() error          { return nil }
