package agent

import "faultline/nodes"

// forgetful is a disk for the defect no-fsync: it is told what to keep, and answers, but
// passes nothing of that on.
type forgetful struct{ nodes.Disk }

type forgetfulFile struct{ nodes.File }

func (d forgetful) Open(name string, flag int) (nodes.File, error) {
	f, err := d.Disk.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return forgetfulFile{f}, nil
}

func (forgetful) SyncDir(string) error { return nil }
func (forgetfulFile) Sync() error      { return nil }
