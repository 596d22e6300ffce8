package programs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"faultline/nodes/internal/lock"
)

// buildPrefix begins the names of directories in which something is being built, in the cache.
const buildPrefix = "build-"

// build makes the static binary from the checkout around the working directory.
func (p Program) build(ctx context.Context) (path string, err error) {
	root, err := p.checkout()
	if err != nil {
		return "", err
	}
	dir, err := p.cache(root)
	if err != nil {
		return "", err
	}
	// A run beside this one may be reading the old binary: it is replaced by a rename, never
	// written to.
	fresh, err := os.MkdirTemp(dir, buildPrefix)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	used, err := os.Open(fresh)
	if err != nil {
		return "", err
	}
	defer used.Close() // which gives the lock up
	if free, err := lock.Try(used); err != nil || !free {
		return "", errors.Join(fmt.Errorf("%s cannot be locked", fresh), err)
	}
	if err := p.goBuild(ctx, root, filepath.Join(fresh, p.Name)); err != nil {
		return "", err
	}
	path = filepath.Join(dir, p.Name)
	return path, os.Rename(filepath.Join(fresh, p.Name), path)
}

func (p Program) goBuild(ctx context.Context, root, out string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./cmd/"+p.Name)
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	said, err := build.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return p.noGo()
	case ctx.Err() != nil:
		return fmt.Errorf("build the %s: %w", p.Name, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("build the %s in %s: %w\n%s", p.Name, root, err, bytes.TrimSpace(said))
	}
	return nil
}

func (p Program) noGo() error {
	return fmt.Errorf("the %s is built with the go command, which is not in PATH; install Go, or set %s to a ready %s", p.Name, p.Env, p.Name)
}

// checkout is the one of Faultline around the working directory.
func (p Program) checkout() (root string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		ours, err := isModuleRoot(dir)
		if err != nil {
			return "", err
		}
		if ours {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s lies in no checkout of Faultline, which the %s is built from; "+
				"change into one, or set %s to a ready %s", start, p.Name, p.Env, p.Name)
		}
	}
}

func isModuleRoot(dir string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "module faultline" {
			return true, nil
		}
	}
	return false, lines.Err()
}

// cache is a place for binaries in the user's cache, a different one for each checkout.
func (p Program) cache(root string) (string, error) {
	all, err := cacheOfAll()
	if err != nil {
		return "", fmt.Errorf("a place to build the %s in: %w; set HOME or XDG_CACHE_HOME, or %s to a ready %s", p.Name, err, p.Env, p.Name)
	}
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(all, hex.EncodeToString(sum[:8]))
	return dir, os.MkdirAll(dir, 0o755)
}

func cacheOfAll() (string, error) {
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "faultline"), err
}
