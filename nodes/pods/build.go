package pods

import (
	"context"
	"fmt"
	"os"
	"sync"

	"faultline/nodes/programs"
)

// builtInjector is built once in a process: its source does not change under a run.
var builtInjector struct {
	mu     sync.Mutex
	binary []byte
}

// InjectorBinary is the static binary of cmd/injector: see programs.Program.Path.
func InjectorBinary(ctx context.Context) ([]byte, error) {
	builtInjector.mu.Lock()
	defer builtInjector.mu.Unlock()
	ready := os.Getenv(programs.Injector.Env) != ""
	if builtInjector.binary != nil && !ready {
		return builtInjector.binary, nil
	}
	path, err := programs.Injector.Path(ctx)
	if err != nil {
		return nil, err
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the injector: %w", err)
	}
	if !ready {
		builtInjector.binary = binary
	}
	return binary, nil
}
