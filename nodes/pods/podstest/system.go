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
	Files   []string // of its image
	// Refuse is why its nodes are not to be started; nil starts them.
	Refuse func(nodes.Start) error
}

func (System) Name() string                   { return "fake" }
func (System) Facts() nodes.Facts             { return nodes.Facts{Port: 8500} }
func (System) Open(nodes.Endpoint) nodes.Conn { return nil }

func (s System) Image(context.Context) (nodes.Image, error) {
	image := nodes.Image{Program: s.Program, Files: s.Files}
	var err error
	if image.Program == "" {
		image.Program, err = program()
	}
	return image, err
}

// launchFile is a file that is written at every start.
const launchFile = "/etc/fake/start.conf"

func (s System) Launch(_ context.Context, start nodes.Start) (nodes.Launch, error) {
	if s.Refuse != nil {
		if err := s.Refuse(start); err != nil {
			return nodes.Launch{}, err
		}
	}
	l := nodes.Args(start.Self.Dir, "self="+start.Self.Addr.String())
	for _, p := range start.All {
		l.Args = append(l.Args, p.Name+"="+p.Addr.String())
	}
	l.Env = []string{"FAKE_START=" + string(start.Kind)}
	l.Files = map[string]string{launchFile: string(start.Kind) + " of " + start.Self.Name + "\n"}
	return l, nil
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
