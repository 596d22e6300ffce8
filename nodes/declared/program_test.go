package declared

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// systemOf is a system of a program and files.
func systemOf(t *testing.T, program string, files ...string) *System {
	t.Helper()
	text := fmt.Sprintf("{name: x, program: %q, files: [%s], port: 80, api: redis}", program, quoted(files))
	system, err := New(filepath.Join(t.TempDir(), "x.yaml"), []byte(text), nil)
	require.NoError(t, err)
	return system
}

func quoted(all []string) (list string) {
	for _, s := range all {
		list += fmt.Sprintf("%q, ", s)
	}
	return list
}

func TestProgramsThatNoPodCanExecute(t *testing.T) {
	dir := t.TempDir()
	place := func(name string, mode os.FileMode, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, mode))
		return path
	}
	own, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	for _, c := range []struct{ program, want string }{
		{filepath.Join(dir, "none"), "is not there: name the program"},
		{dir, "is no regular file: name the program itself"},
		{place("plain", 0o644, own), "is no executable file: chmod +x it"},
		{place("script", 0o755, []byte("#!/bin/sh\n")), "name the interpreter as the program"},
		{place("text", 0o755, []byte("hello")), "is no program of Linux"},
		{place("empty", 0o755, nil), "is no program of Linux"},
		{place("foreign", 0o755, loadedBy(t, "/lib/ld.so.1", elf.EM_S390)), "is for another kind of machine"},
		{place("strange", 0o755, loadedBy(t, "/lib/ld-none.so.9", 0)), "linked with the dynamic linker /lib/ld-none.so.9, which is not on this machine"},
	} {
		require.ErrorContains(t, systemOf(t, c.program).Ready(t.Context()), c.want)
	}
}

// loadedBy is the beginning of a program for a machine, 0 for this one, that asks for a dynamic linker.
func loadedBy(t *testing.T, loader string, machine elf.Machine) []byte {
	t.Helper()
	header := elf.Header64{Type: uint16(elf.ET_DYN), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	own, err := elf.Open("/proc/self/exe")
	require.NoError(t, err)
	defer own.Close()
	header.Machine = uint16(cmp.Or(machine, own.Machine))
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(own.Class), byte(own.Data), 1
	part := elf.Prog64{Type: uint32(elf.PT_INTERP), Off: 120, Filesz: uint64(len(loader) + 1)}
	content, err := binary.Append(nil, own.ByteOrder, header)
	require.NoError(t, err)
	content, err = binary.Append(content, own.ByteOrder, part)
	require.NoError(t, err)
	return append(content, loader+"\x00"...)
}

func TestFilesAreFound(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.1", "a.2"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	system := systemOf(t, "/proc/self/exe", filepath.Join(dir, "a.*"))
	require.NoError(t, system.Ready(t.Context()))
	image, err := system.Image(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{dir + "/a.1", dir + "/a.2"}, image.Files)
	require.ErrorContains(t, systemOf(t, "/proc/self/exe", filepath.Join(dir, "b.*")).Ready(t.Context()),
		"no such file or directory; mend the path")
	_, err = New("x.yaml", []byte("{name: x, program: /x, files: ['[a'], port: 80, api: redis}"), nil)
	require.ErrorContains(t, err, "x.yaml:1: files: ")
}
