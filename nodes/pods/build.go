package pods

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// EnvInjector is an environment variable that names a ready injector binary.
const EnvInjector = "FAULTLINE_INJECTOR"

// builtInjector is built once in a process: its source does not change under a run.
var builtInjector struct {
	mu     sync.Mutex
	binary []byte
}

// InjectorBinary is the static binary of cmd/injector: the one that FAULTLINE_INJECTOR
// names, or one built from the checkout around the working directory.
func InjectorBinary(ctx context.Context) ([]byte, error) {
	if path := os.Getenv(EnvInjector); path != "" {
		binary, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("the injector that %s names: %w", EnvInjector, err)
		}
		return binary, nil
	}
	builtInjector.mu.Lock()
	defer builtInjector.mu.Unlock()
	if builtInjector.binary == nil {
		binary, err := buildInjector(ctx)
		if err != nil {
			return nil, err
		}
		builtInjector.binary = binary
	}
	return builtInjector.binary, nil
}

func buildInjector(ctx context.Context) ([]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", injectorBuild)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "injector")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./cmd/injector")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the injector: %w: %s", err, bytes.TrimSpace(output))
	}
	return os.ReadFile(path)
}

// moduleRoot is the nearest folder upwards with Faultline's go.mod.
func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module faultline\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no checkout of Faultline at or above %s to build the injector from: "+
				"run inside one, or set %s to a binary of cmd/injector", start, EnvInjector)
		}
	}
}
