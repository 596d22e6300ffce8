package etcd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"faultline/nodes"
)

// versionWithin is for etcd to say its version, on a machine that is busy.
const versionWithin = 10 * time.Second

// Image implements nodes.System: the user's binary, and nothing else.
func (s *System) Image(context.Context) (nodes.Image, error) {
	path, err := s.find()
	return nodes.Image{Program: path}, err
}

// Ready is an error, which says the fix, if no node could be started with the binary.
func (s *System) Ready(ctx context.Context) error {
	path, err := s.find()
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return nil // nothing that is to run in a pod runs here
	}
	if err := nodes.CheckProgram(path); err != nil {
		return fmt.Errorf("the binary of etcd: %w; the setting binary names another", err)
	}
	return checkVersion(ctx, path)
}

// find finds the binary's file.
func (s *System) find() (string, error) {
	const fix = "install etcd, or name a binary: settings: {binary: PATH}, or --set binary=PATH"
	path, err := exec.LookPath(s.options.Binary)
	if err != nil {
		return "", fmt.Errorf("the binary of etcd: %w; %s", err, fix)
	}
	if path, err = filepath.Abs(path); err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", fmt.Errorf("the binary of etcd: %w; %s", err, fix)
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("the binary of etcd, %s, is no regular file; %s", path, fix)
	}
	return path, nil
}

// checkVersion runs the binary. It may be any program: so it has no files or environment to do harm with.
func checkVersion(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, versionWithin, fmt.Errorf("%s said no version within %v", path, versionWithin))
	defer cancel()
	ask := exec.CommandContext(ctx, path, "--version")
	ask.Dir = "/proc" // in which nothing can be made or removed
	ask.Env = environment()
	ask.WaitDelay = time.Second // for what it may have left with our pipe
	said, err := ask.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s does not run: %w: %s", path, err, bytes.TrimSpace(said[:min(len(said), 200)]))
	}
	major, minor, err := parseVersion(said)
	if err != nil {
		return fmt.Errorf("%s is no etcd: asked by --version %w", path, err)
	}
	if major != 3 || minor < leastMinor {
		return fmt.Errorf("%s is etcd %d.%d, and Faultline speaks the API of 3.%d and later 3.x: the setting binary names another", path, major, minor, leastMinor)
	}
	return nil
}

// leastMinor is the first 3.x whose gateway has the API at /v3.
const leastMinor = 4

var versionLine = regexp.MustCompile(`(?m)^etcd Version: (\d+)\.(\d+)\.`)

// parseVersion reads what `etcd --version` says.
func parseVersion(said []byte) (major, minor int, err error) {
	parts := versionLine.FindSubmatch(said)
	if parts == nil {
		return 0, 0, fmt.Errorf("it said %q", said[:min(len(said), 200)])
	}
	if major, err = strconv.Atoi(string(parts[1])); err != nil {
		return 0, 0, err
	}
	if minor, err = strconv.Atoi(string(parts[2])); err != nil {
		return 0, 0, err
	}
	return major, minor, nil
}

// environment lets etcd run on every kind of machine that it is built for: some that it has no tests on
// it refuses otherwise (etcdmain/etcd.go, checkSupportArch).
func environment() []string { return []string{"ETCD_UNSUPPORTED_ARCH=" + runtime.GOARCH} }
