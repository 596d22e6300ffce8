package declared

import (
	"context"
	"fmt"
	"os"

	"faultline/nodes"
	"faultline/nodes/pods"
)

// Finding is what [System.Examine] says of one thing that a system is made of.
type Finding struct {
	What string
	Good string // how it is
	Err  error  // what is wrong, and the fix; nil if nothing is
}

// Examine looks at all that the pods of the system are to hold. It starts nothing.
func (s *System) Examine(ctx context.Context) []Finding {
	program := Finding{What: "program"}
	if program.Err = nodes.CheckProgram(s.file.Program); program.Err == nil {
		program.Good = s.file.Program
	}
	files := Finding{What: "files"}
	if files.Err = checkFiles(s.paths); files.Err == nil && program.Err == nil {
		image, err := pods.ImageOf(ctx, s)
		files.Err = err
		files.Good = fmt.Sprintf("%d named by the file, %d with the libraries", len(s.paths), len(image.Files))
	}
	return []Finding{program, files}
}

// Ready is an error if the nodes surely cannot be started.
func (s *System) Ready(ctx context.Context) error {
	for _, f := range s.Examine(ctx) {
		if f.Err != nil {
			return fmt.Errorf("system %s: %s: %w", s.file.Name, f.What, f.Err)
		}
	}
	return nil
}

func checkFiles(paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w; mend the path (a relative one starts where the system's file is, and a pattern must match something)", err)
		}
	}
	return nil
}
