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
	"reflect"
	"strings"
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
	path = filepath.Join(dir, p.Name)
	return path, p.replace(dir, func(fresh string) error {
		if err := p.copyOf(ctx, path, fresh); err != nil {
			return err
		}
		return p.goBuild(ctx, root, fresh)
	})
}

// copyOf copies what was built before, if that runs: the go command links nothing that is up to date where it is to be.
func (p Program) copyOf(ctx context.Context, path, fresh string) error {
	if _, err := p.check(ctx, path); err != nil {
		return ctx.Err() // it is made from nothing
	}
	built, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(fresh, built, 0o755)
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

// checkout is where the source of Faultline is: around the working directory, or, where that is in another
// module, what that module requires (go.mod(5), replace).
func (p Program) checkout() (root string, err error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	start, other := dir, false
	for ; ; dir = filepath.Dir(dir) {
		module, err := moduleOf(dir)
		if err != nil {
			return "", err
		}
		if module == modulePath {
			return dir, nil
		}
		other = other || module != ""
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if other {
		if root := required(); root != "" {
			return root, nil
		}
	}
	return "", fmt.Errorf("%s lies in no checkout of Faultline, and in no module that requires it, which the %s is built from; "+
		"change into one, or set %s to a ready %s, or use a faultline that was built by `make build`, which has its own", start, p.Name, p.Env, p.Name)
}

// modulePath is the path of this module, whoever hosts it.
var modulePath = strings.TrimSuffix(reflect.TypeFor[Program]().PkgPath(), "/nodes/programs")

// required is the directory of this module as the module around the working directory requires it; empty if it does not.
func required() string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// moduleOf is the path of the module whose root a directory is; empty if it is none.
func moduleOf(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		if path, found := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); found {
			return strings.Trim(strings.TrimSpace(path), `"`), nil
		}
	}
	return "", lines.Err()
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
