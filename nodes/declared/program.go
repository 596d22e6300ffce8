package declared

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"faultline/nodes/pods"
	"faultline/nodes/programs"
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
	loader, err := checkProgram(s.file.Program)
	switch program.Err = err; {
	case err != nil:
	case loader == "":
		program.Good = s.file.Program + ", linked statically"
	default:
		program.Good = fmt.Sprintf("%s, loaded by %s", s.file.Program, loader)
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

// checkProgram makes sure that a pod can execute a file, and finds its dynamic linker.
func checkProgram(path string) (loader string, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w; build it, or mend the path", err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no regular file; name the program itself", path)
	case info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable; `chmod +x %s` makes it so", path, path)
	}
	script, err := isScript(path)
	if err != nil {
		return "", err
	}
	if script {
		return "", fmt.Errorf("%s is a script, and pods have no interpreter; name the interpreter as program, the script in files, and begin args with the script", path)
	}
	if loader, err = programs.CheckELF(path); err != nil {
		return "", fmt.Errorf("%w; build it for Linux on this kind of processor", err)
	}
	if loader == "" {
		return "", nil
	}
	if _, err := os.Stat(loader); err != nil {
		return "", fmt.Errorf("%s is loaded by %s, which is not on this machine (%w); link it statically, or install that", path, loader, err)
	}
	return loader, nil
}

func isScript(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() // was only read
	begin := make([]byte, 2)
	if _, err := io.ReadFull(f, begin); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(begin, []byte("#!")), nil
}

func checkFiles(paths []string) error {
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w; mend the path (a relative one starts where the system's file is, and a pattern must match something)", err)
		}
	}
	return nil
}
