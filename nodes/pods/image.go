package pods

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"faultline/nodes"
	"faultline/topologies"
)

// Image is what pods hold: files of this machine.
type Image struct {
	Program string   // goes to injector.NodePath; may be empty
	Files   []string // files and directories, absolute, sorted: go to the same paths
}

// ImageOf is a system's image, with all that its programs and libraries are linked with.
func ImageOf(ctx context.Context, system nodes.System) (Image, error) {
	own, err := system.Image(ctx)
	if err != nil {
		return Image{}, fmt.Errorf("the binary of %s: %w", system.Name(), err)
	}
	image, err := closed(ctx, own)
	if err != nil {
		return Image{}, fmt.Errorf("the files of %s: %w", system.Name(), err)
	}
	return image, nil
}

// closed adds the dynamic linkers and libraries.
func closed(ctx context.Context, own nodes.Image) (Image, error) {
	objects, err := objectsOf(own)
	if err != nil {
		return Image{}, err
	}
	loader := ""
	for _, o := range objects {
		if loader == "" {
			loader = o.loader
		}
	}
	files := map[string]bool{}
	for _, f := range own.Files {
		files[filepath.Clean(f)] = true
	}
	for _, o := range objects {
		if o.loader != "" {
			files[o.loader] = true
		}
		if loader == "" {
			continue // a library without any program to load it
		}
		libraries, err := linked(ctx, loader, o.path)
		if err != nil && o.loader != "" {
			return Image{}, err
		}
		// What a library lacks, its program can do without, as on this machine.
		for _, l := range libraries {
			files[l] = true
		}
	}
	return Image{Program: own.Program, Files: slices.Sorted(maps.Keys(files))}, nil
}

// object is a file that the dynamic linker loads.
type object struct {
	path   string
	loader string // of a program
}

// objectsOf finds the objects of an image.
func objectsOf(own nodes.Image) (all []object, err error) {
	paths := own.Files
	if own.Program != "" {
		paths = append([]string{own.Program}, paths...)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("%s is no absolute path", path)
		}
		err := filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			o, dynamic, err := readObject(path)
			if err == nil && dynamic {
				all = append(all, o)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readObject looks at a file. Links that lead nowhere, and what is no regular file, are none.
func readObject(path string) (o object, dynamic bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return o, false, nil
	}
	if err != nil {
		return o, false, err
	}
	file, err := os.Open(path)
	if err != nil {
		return o, false, err
	}
	defer file.Close() // was only read
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := io.ReadFull(file, magic); err != nil || string(magic) != elf.ELFMAG {
		return o, false, nil
	}
	parsed, err := elf.NewFile(file)
	if err != nil {
		return o, false, nil // no program: whoever executes it will hear of it
	}
	o.path = path
	for _, part := range parsed.Progs {
		switch part.Type {
		case elf.PT_DYNAMIC:
			dynamic = true
		case elf.PT_INTERP: // elf(5): the path of the dynamic linker, which ends with a zero byte
			text, err := io.ReadAll(part.Open())
			if err != nil {
				return o, false, fmt.Errorf("%s: %w", path, err)
			}
			o.loader = strings.TrimRight(string(text), "\x00")
		}
	}
	return o, dynamic && (o.loader != "" || strings.Contains(filepath.Base(path), ".so")), nil
}

// linked asks the dynamic linker what it would load (ld.so(8), --list).
func linked(ctx context.Context, loader, path string) (libraries []string, err error) {
	said, err := exec.CommandContext(ctx, loader, "--list", path).CombinedOutput()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s, which loads %s: %w: %s", loader, path, err, bytes.TrimSpace(said))
	}
	return parseLinked(said)
}

// parseLinked reads lines such as "libc.so.6 => /lib/libc.so.6 (0x7f…)".
func parseLinked(said []byte) (libraries []string, err error) {
	lines := bufio.NewScanner(bytes.NewReader(said))
	for lines.Scan() {
		name, at, found := strings.Cut(strings.TrimSpace(lines.Text()), " => ")
		if !found {
			continue // the kernel's own, or the loader itself
		}
		path, _, _ := strings.Cut(at, " (0x")
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("the library %s is not on this machine (%s)", name, at)
		}
		libraries = append(libraries, filepath.Clean(path))
	}
	return libraries, lines.Err()
}

// LauncherOf is how a system starts nodes that live at these places.
func LauncherOf(system nodes.System, places []nodes.NodeInfo, endpoint func(node string) nodes.Endpoint) Launcher {
	return func(ctx context.Context, node topologies.Node, kind nodes.StartKind) (nodes.Launch, error) {
		self := places[slices.IndexFunc(places, func(p nodes.NodeInfo) bool { return p.Name == node.Name })]
		return system.Launch(ctx, nodes.Start{Kind: kind, Self: self, All: slices.Clone(places), Endpoint: endpoint})
	}
}
