package podstest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"faultline/nodes"
)

// System is a system whose nodes tell how they were started.
type System struct {
	// Program is its binary; if empty, that of package node beside this one, which is built
	// once in a test process that Main runs.
	Program string
}

func (System) Name() string                       { return "fake" }
func (System) APIPort() int                       { return 8500 }
func (System) Client(nodes.Endpoint) nodes.Client { return nil }

func (s System) Binary(context.Context) (string, error) {
	if s.Program != "" {
		return s.Program, nil
	}
	return program()
}

func (System) Args(self nodes.NodeInfo, all []nodes.NodeInfo) []string {
	args := []string{self.Dir, "self=" + self.Addr.String()}
	for _, p := range all {
		args = append(args, p.Name+"="+p.Addr.String())
	}
	return args
}

// programDir is where the program is built: tests have a TMPDIR each, and it outlives them.
var programDir string

var program = sync.OnceValues(func() (string, error) {
	if programDir == "" {
		return "", fmt.Errorf("TestMain must call podstest.Main")
	}
	path := filepath.Join(programDir, "node")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "faultline/nodes/pods/podstest/node")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

// Main is the TestMain of a package that starts a System.
func Main(m *testing.M) {
	var err error
	if programDir, err = os.MkdirTemp("", "faultline-podstest-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(programDir); err != nil {
		panic(err)
	}
	os.Exit(code)
}
