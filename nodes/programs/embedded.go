package programs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"faultline/nodes/internal/lock"
)

// programFiles has the embedded programs. Tests have others.
var programFiles fs.FS = embedded

// packed is the embedded program, if there is one.
func (p Program) packed() ([]byte, bool) {
	binary, err := fs.ReadFile(programFiles, "embedded/"+p.Name)
	return binary, err == nil
}

// unpack makes sure that the embedded program is in the user's cache, in a place named after its content.
func (p Program) unpack(binary []byte) (path string, err error) {
	all, err := cacheOfAll()
	if err != nil {
		return "", fmt.Errorf("a place to unpack the %s in: %w; set HOME or XDG_CACHE_HOME, or %s to a ready %s", p.Name, err, p.Env, p.Name)
	}
	sum := sha256.Sum256(binary)
	dir := filepath.Join(all, "embedded-"+hex.EncodeToString(sum[:8]))
	path = filepath.Join(dir, p.Name)
	if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, binary) {
		return path, os.Chmod(path, 0o755)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return path, p.replace(dir, func(fresh string) error { return os.WriteFile(fresh, binary, 0o755) })
}

// replace makes the program in a directory of the cache. A run beside this one may be reading an old
// one: that is replaced by a rename, never written to.
func (p Program) replace(dir string, make func(path string) error) (err error) {
	fresh, err := os.MkdirTemp(dir, buildPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	used, err := os.Open(fresh)
	if err != nil {
		return err
	}
	defer used.Close() // which gives the lock up
	if free, err := lock.Try(used); err != nil || !free {
		return errors.Join(fmt.Errorf("%s cannot be locked", fresh), err)
	}
	made := filepath.Join(fresh, p.Name)
	if err := make(made); err != nil {
		return err
	}
	return os.Rename(made, filepath.Join(dir, p.Name))
}
