package agent

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"faultline/nodes"
)

const idFile = "node-id"

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// nodeID reads the identity of the directory, and makes one for a new directory. It is
// what Raft knows the server by, whatever its name and address.
func nodeID(disk nodes.Disk) (string, error) {
	id, err := readID(disk)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = newUUID()
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

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, as of Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
