package nodes

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// CheckProgram refuses a file that no pod on this machine can execute, and says what would mend it: one
// that is missing, no executable, for another system or another kind of machine, or linked with a
// dynamic linker that is not here (elf(5), PT_INTERP). A script is refused too: its interpreter is
// the program.
func CheckProgram(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s is not there: name the program that is to be tested", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file: name the program itself", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s is no executable file: chmod +x it, or name another", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is no program of Linux (%w): build it with GOOS=linux, or, of a script, name the interpreter as the program and the script as its argument", path, err)
	}
	defer f.Close() // was only read
	here, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer here.Close() // was only read
	if f.Machine != here.Machine || f.Class != here.Class || f.Data != here.Data {
		return fmt.Errorf("%s is for another kind of machine: %v, %v; here it is %v, %v: build or download it for this one", path, f.Machine, f.Class, here.Machine, here.Class)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return fmt.Errorf("%s is no program (%v)", path, f.Type)
	}
	for _, part := range f.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(part.Open())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		loader := strings.TrimRight(string(text), "\x00")
		if _, err := os.Stat(loader); err != nil {
			return fmt.Errorf("%s is linked with the dynamic linker %s, which is not on this machine: install that, or take a static program (in Go: CGO_ENABLED=0)", path, loader)
		}
	}
	return nil
}
