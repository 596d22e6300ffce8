package nodes

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatNoPodCanExecute(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), mode))
		return path
	}
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	foreign := append([]byte(nil), self...)
	foreign[18] = 0xF3 // e_machine: EM_RISCV
	object := append([]byte(nil), self...)
	object[16] = 1 // e_type: ET_REL
	for path, says := range map[string]string{
		filepath.Join(dir, "none"):            "is not there",
		dir:                                   "no regular file",
		file("text", "hello", 0o755):          "no program of Linux",
		file("script", "#!/bin/sh\n", 0o755):  "name the interpreter as the program",
		file("mode", string(self), 0o644):     "chmod +x",
		file("risc", string(foreign), 0o755):  "for another kind of machine: EM_RISCV",
		file("object", string(object), 0o755): "is no program (ET_REL)",
	} {
		require.ErrorContains(t, CheckProgram(path), says, path)
	}
	require.NoError(t, CheckProgram(file("good", string(self), 0o755)))
}

func TestADynamicProgramNeedsItsLinker(t *testing.T) {
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Skip(err)
	}
	require.NoError(t, CheckProgram(cat))
	content, err := os.ReadFile(cat)
	require.NoError(t, err)
	at := bytes.Index(content, []byte("/lib64/ld-linux"))
	if at < 0 {
		t.Skip("cat is linked in another way here")
	}
	copy(content[at:], "/lib65")
	other := filepath.Join(t.TempDir(), "cat")
	require.NoError(t, os.WriteFile(other, content, 0o755))
	require.ErrorContains(t, CheckProgram(other), "is linked with the dynamic linker /lib65/ld-linux")
}
