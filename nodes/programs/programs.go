// Package programs makes the programs of Faultline that run inside pods: the agent and the injector. Each is a ready binary
// that an environment variable names; or travels inside this one, if that was made by `make build`; or is built from the
// checkout around the working directory, or from the module as the one around the working directory requires it.
//
//	agent := programs.Program{Name: "agent", Env: "FAULTLINE_AGENT"}
//	path, err := agent.Path(ctx)
//
// A ready binary is looked at before it is used: pods have no dynamic linker and nothing else that it could lack, and one that
// is another program would fail much later, or look like a node that does not start. How it tells what it is: `BINARY version` prints the Line
// of its Name.
//
// It is not for systems under test that others bring: those make their own binaries.
package programs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Program is a command of Faultline.
type Program struct {
	Name string // of its folder below cmd
	Env  string // the environment variable that names a ready binary
}

// All lists the programs that runs need.
func All() []Program { return []Program{Agent, Injector} }

var (
	Agent    = Program{"agent", "FAULTLINE_AGENT"}
	Injector = Program{"injector", "FAULTLINE_INJECTOR"}
)

// Line is what a program prints that is asked for its version: "faultline agent v1.2.3".
func Line(name string) string {
	version := "(devel)" // as Go calls what was built in its checkout
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	return prefix(name) + version
}

func prefix(name string) string { return "faultline " + name + " " }

// Path is where the binary is: the ready one, which was checked, or the embedded one, or one that is built now. An error says the way out.
func (p Program) Path(ctx context.Context) (string, error) {
	if os.Getenv(p.Env) != "" {
		path, _, err := p.given(ctx)
		return path, err
	}
	if binary, ok := p.packed(); ok {
		return p.unpack(binary)
	}
	return p.build(ctx)
}

// Ready is an error if Path would surely fail: the ready binary is not what it must be, or there is nothing to build one from, or with.
func (p Program) Ready(ctx context.Context) error {
	if os.Getenv(p.Env) != "" {
		_, _, err := p.given(ctx)
		return err
	}
	if _, ok := p.packed(); ok {
		return nil
	}
	if _, err := exec.LookPath("go"); err != nil {
		return p.noGo()
	}
	_, err := p.checkout()
	return err
}

// Try makes the binary and runs it, and says what was done.
func (p Program) Try(ctx context.Context) (how string, err error) {
	if os.Getenv(p.Env) != "" {
		path, line, err := p.given(ctx)
		return fmt.Sprintf("%s: %s; it ran and says %q", p.Env, path, line), err
	}
	if binary, ok := p.packed(); ok {
		path, err := p.unpack(binary)
		if err != nil {
			return "", err
		}
		line, err := p.check(ctx, path)
		return fmt.Sprintf("travels inside this binary; it ran and says %q", line), err
	}
	path, err := p.build(ctx)
	if err != nil {
		return "", err
	}
	root, err := p.checkout()
	if err != nil {
		return "", err
	}
	line, err := p.check(ctx, path)
	return fmt.Sprintf("built from %s; it ran and says %q", root, line), err
}

// given is the ready binary, and what it says of itself.
func (p Program) given(ctx context.Context) (path, line string, err error) {
	named := os.Getenv(p.Env)
	if path, err = filepath.Abs(named); err == nil {
		line, err = p.checkOnce(ctx, path)
	}
	if err != nil {
		return "", "", fmt.Errorf("%s names no %s that can run in a pod: %w; build one in a checkout of Faultline by `CGO_ENABLED=0 go build ./cmd/%s`, "+
			"or unset it inside a checkout", p.Env, p.Name, unnamed(err, named), p.Name)
	}
	return path, line, nil
}

// unnamed makes sure that an error tells the path.
func unnamed(err error, path string) error {
	if strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}
