package rundir

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What is read of a run directory must be a regular file; what is written goes to a new file
// with a random name, which then replaces whatever was there, even a link.

// maxText bounds what is read of every file but a history, in bytes.
const maxText = 16 << 20

// Open opens a regular file of a run directory for reading. It fails on anything else, and on a
// name that leads out of dir.
func Open(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() // was only read
	at := filepath.Join(dir, name)
	before, err := root.Lstat(name)
	if failed := new(fs.PathError); errors.As(err, &failed) {
		return nil, &fs.PathError{Op: "open", Path: at, Err: failed.Err}
	}
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file (%s), and nothing else is read of a run directory", at, before.Mode().Type())
	}
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO that takes its place holds nobody up
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s was replaced while it was opened", at)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read returns the content of a regular file of a run directory, of at most 16 MiB.
func Read(dir, name string) ([]byte, error) {
	f, err := Open(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(data) > maxText {
		err = fmt.Errorf("%s is larger than %d MiB", filepath.Join(dir, name), maxText>>20)
	}
	return data, err
}

// Write replaces a file of a directory as a whole, or leaves it as it was. A folder in
// its name is made, unless it is there; one that is a link is not followed.
func Write(dir, name, text string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() // of what was written each file is closed by itself
	if err := replaceFile(root, name, text); err != nil {
		return fmt.Errorf("%s was not written: %w", filepath.Join(dir, name), err)
	}
	return nil
}

func replaceFile(root *os.Root, name, text string) error {
	if folder := filepath.Dir(name); folder != "." {
		if err := makeFolder(root, folder); err != nil {
			return err
		}
	}
	temp := name + "." + rand.Text()
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// makeFolder makes a folder of a directory, in place of a link if there is one.
func makeFolder(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if err == nil && info.Mode().Type() == fs.ModeSymlink {
		err = root.Remove(name)
		info = nil
	}
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case info != nil && info.IsDir():
		return nil
	}
	if err := root.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// RemoveFolder removes a folder of a run directory with all that is in it, or the link that
// has its name.
func RemoveFolder(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() // was only read
	return root.RemoveAll(name)
}

// maxKeyShown bounds the part of a file's name that shows a key.
const maxKeyShown = 60

// FileSafe makes a file's name of a key, which may hold anything. Two keys never get the
// same: what it cannot show of one is in a checksum of it.
func FileSafe(key string) string {
	shown := strings.Map(func(r rune) rune {
		if r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, key[:min(len(key), maxKeyShown)])
	if shown == key && key != "" {
		return shown
	}
	sum := sha256.Sum256([]byte(key))
	return cmp.Or(shown, "_") + "." + hex.EncodeToString(sum[:8])
}
