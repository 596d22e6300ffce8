package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"time"

	"faultline/nodes"
)

const idFile = "node-id"

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// nodeID reads the identity of the directory, and gives a new directory the one that
// fresh returns. Raft identifies the server by it, whatever its name and address.
//
// What a server has promised in Raft, its votes and the entries that it has answered for,
// is on its disk. So the identity has to be lost together with the disk: a server that
// kept it would count for votes and entries that it no longer has.
func nodeID(disk nodes.Disk, fresh func() string) (string, error) {
	id, err := readID(disk)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = fresh()
	if err := writeID(disk, id); err != nil {
		return "", fmt.Errorf("write %s: %w", idFile, err)
	}
	return id, nil
}

func readID(disk nodes.Disk) (string, error) {
	f, err := disk.Open(idFile, os.O_RDONLY)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, 64))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	if !uuid.Match(data) {
		return "", fmt.Errorf("%s holds %q, which is no UUID", idFile, data)
	}
	return string(data), nil
}

// writeID makes the file whole or not at all, whenever the process or the power ends.
func writeID(disk nodes.Disk, id string) error {
	const draft = idFile + ".new"
	f, err := disk.Open(draft, os.O_CREATE|os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, id)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := disk.Rename(draft, idFile); err != nil {
		return err
	}
	return disk.SyncDir(".")
}

// nameDerivedID derives the identity from the name, so that it never changes: the defect
// rejoins-with-empty-log.
func nameDerivedID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return uuidOf([16]byte(sum[:16]))
}

// newUUID is a random UUID (RFC 9562, version 4).
func (a *Agent) newUUID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:8], a.host.Uint64())
	binary.NativeEndian.PutUint64(b[8:], a.host.Uint64())
	return uuidOf(b)
}

// upTo draws a time from 0 on, below d, which is positive. The host's numbers reach so far
// beyond any d that no time is drawn noticeably more often than another.
func (a *Agent) upTo(d time.Duration) time.Duration {
	return time.Duration(a.host.Uint64() % uint64(d))
}

func uuidOf(b [16]byte) string {
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
