package consul

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
)

// EnvAgent names the environment variable with the path of a ready agent. It must be a
// static Linux binary.
const EnvAgent = "FAULTLINE_AGENT"

// buildAgent makes the agent's static binary from the checkout that the working
// directory lies in, or takes the one that the environment names.
func buildAgent(ctx context.Context) (string, error) {
	if path := os.Getenv(EnvAgent); path != "" {
		if info, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%s names no agent: %w", EnvAgent, err)
		} else if info.IsDir() || info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("%s names %s, which is no executable file", EnvAgent, path)
		}
		return filepath.Abs(path)
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir, err := buildDir(root)
	if err != nil {
		return "", err
	}
	// A run beside this one may be starting nodes from the old binary: it is replaced by
	// a rename, never written to.
	fresh, err := os.MkdirTemp(dir, halfBuilt)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh) // what stays of a failed build does no harm
	if err := goBuild(ctx, root, filepath.Join(fresh, "agent")); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "agent")
	return path, os.Rename(filepath.Join(fresh, "agent"), path)
}

func goBuild(ctx context.Context, root, out string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", out, "./cmd/agent")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	said, err := build.CombinedOutput()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("the agent is built with the go command, which is not in PATH; install Go, or set %s to a ready agent", EnvAgent)
	case ctx.Err() != nil:
		return fmt.Errorf("build the agent: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("build the agent in %s: %w\n%s", root, err, bytes.TrimSpace(said))
	}
	return nil
}

// moduleRoot is the checkout of Faultline around the working directory.
func moduleRoot() (string, error) {
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
			return "", fmt.Errorf("%s lies in no checkout of faultline, which the agent is built from; "+
				"change into one, or set %s to a ready agent", start, EnvAgent)
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

// BuildLeftovers are patterns (path/filepath.Match) of the directories in which agents are
// built.
func BuildLeftovers() []string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil // nothing is built without it
	}
	return []string{filepath.Join(cache, "faultline", "*", halfBuilt+"*")}
}

const halfBuilt = "build-"

// buildDir is a place for binaries in the user's cache, a different one for each checkout.
func buildDir(root string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("a place to build the agent in: %w; set HOME or XDG_CACHE_HOME, or %s to a ready agent", err, EnvAgent)
	}
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(cache, "faultline", hex.EncodeToString(sum[:8]))
	return dir, os.MkdirAll(dir, 0o755)
}
