package programs

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"faultline/nodes"
)

// versionLimit is for a program to say its version, on a machine that is busy.
const versionLimit = 10 * time.Second

// check makes sure that a file is this program, and runs here by itself. It returns what it says of itself.
func (p Program) check(ctx context.Context, path string) (line string, err error) {
	if runtime.GOOS != "linux" {
		return "", nil // nothing that is to run in a pod runs here
	}
	if err := nodes.CheckProgram(path); err != nil {
		return "", err
	}
	if err := checkStatic(path); err != nil {
		return "", err
	}
	return p.askVersion(ctx, path)
}

// checkStatic refuses what asks for a dynamic linker (elf(5), PT_INTERP), which pods have only for systems that bring it.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // was only read
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically, and a pod has no dynamic linker", path)
		}
	}
	return nil
}

// askVersion runs the program. It may be any other one: so it has no arguments, files or environment to do harm with.
func (p Program) askVersion(ctx context.Context, path string) (line string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, versionLimit, fmt.Errorf("it said nothing within %v", versionLimit))
	defer cancel()
	var said limited
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Dir = "/proc" // in which nothing can be made or removed
	cmd.Env = []string{}
	cmd.Stdout = &said
	cmd.WaitDelay = time.Second // for what it may have left with our pipe
	err = cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	line = strings.TrimSuffix(said.text, "\n")
	switch {
	case errors.Is(err, context.Canceled):
		return "", err
	case err == nil && strings.HasPrefix(line, prefix(p.Name)) && !strings.Contains(line, "\n"):
		return line, nil
	case err == nil:
		err = fmt.Errorf("it said %q", line)
	}
	return "", fmt.Errorf("%s is not Faultline's %s, of this version: asked by `%s version` it should say `%s…` (%w)", path, p.Name, path, prefix(p.Name), err)
}

// limited keeps the first few bytes that it is written.
type limited struct{ text string }

func (l *limited) Write(p []byte) (int, error) {
	const most = 200
	l.text += string(p[:min(len(p), most-len(l.text))])
	return len(p), nil
}

// checked are the files that check has found good, and what they said, so that a suite asks each once.
var checked struct {
	mu    sync.Mutex
	lines map[state]string
}

// state is a file as it was.
type state struct {
	program, path string
	size          int64
	changed       time.Time
}

func (p Program) checkOnce(ctx context.Context, path string) (line string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	now := state{p.Name, path, info.Size(), info.ModTime()}
	checked.mu.Lock()
	defer checked.mu.Unlock()
	if line, good := checked.lines[now]; good {
		return line, nil
	}
	if line, err = p.check(ctx, path); err != nil {
		return "", err
	}
	if checked.lines == nil {
		checked.lines = map[state]string{}
	}
	checked.lines[now] = line
	return line, nil
}
