//go:build linux

package space

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"faultline/nodes/injector"
)

// devices are what static programs open; those that the machine lacks are left out.
var devices = []string{"null", "zero", "full", "random", "urandom"}

// enterRoot builds the pod's own file system, as bare as that of an image FROM scratch,
// and leaves the machine's.
func (p Pod) enterRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	if err := unix.Mount("tmpfs", p.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for _, dir := range []string{"bin", "dev", "etc", "proc", "tmp", DataDir} {
		if err := os.Mkdir(filepath.Join(p.Root, dir), 0o755); err != nil {
			return err
		}
	}
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost\n%s\t%s\n", p.Addr.Addr(), p.Name)
	if err := os.WriteFile(filepath.Join(p.Root, "etc", "hosts"), []byte(hosts), 0o644); err != nil {
		return err
	}
	if err := p.bindAll(); err != nil {
		return err
	}
	// While the machine's own /proc is still there: the kernel lets a user namespace mount one
	// only if that would show nothing that was hidden (mount_too_revealing, fs/namespace.c).
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("proc", filepath.Join(p.Root, "proc"), "proc", flags, ""); err != nil {
		return fmt.Errorf("mounting /proc (is this a container, whose engine hides parts of it?): %w", err)
	}
	return enter(p.Root)
}

func (p Pod) bindAll() error {
	if err := p.bind(p.Data, DataDir); err != nil {
		return err
	}
	if err := p.bindFile(p.Injector, injector.Path); err != nil {
		return err
	}
	if p.Node != "" {
		if err := p.bindFile(p.Node, injector.NodePath); err != nil {
			return err
		}
	}
	for _, path := range p.Files {
		if err := p.bindForReading(path); err != nil {
			return err
		}
	}
	wanted := devices
	if p.Rights.Disk {
		wanted = append(slices.Clone(devices), "fuse")
	}
	for _, name := range wanted {
		device := filepath.Join("/dev", name)
		if err := p.bindFile(device, device); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (p Pod) bindFile(source, path string) error {
	if _, err := os.Stat(source); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.Root, path), nil, 0o755); err != nil {
		return err
	}
	return p.bind(source, path)
}

// bindForReading has a file or directory of the machine at the same path in the pod. The node may
// be the owner of it, so it cannot be written to.
func (p Pod) bindForReading(path string) error {
	source, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	at := filepath.Join(p.Root, path)
	if _, err := os.Lstat(at); err == nil {
		return nil // it is in a directory that is there already
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if info.IsDir() {
		err = os.Mkdir(at, 0o755)
	} else {
		err = os.WriteFile(at, nil, 0o755)
	}
	if err != nil {
		return err
	}
	if err := p.bind(source, path); err != nil {
		return err
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, at, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("binding %s for reading alone (it takes Linux 5.12): %w", path, err)
	}
	return nil
}

func (p Pod) bind(source, path string) error {
	if err := unix.Mount(source, filepath.Join(p.Root, path), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("binding %s: %w", source, err)
	}
	return nil
}

// enter makes dir the root, and takes the old one away: pivot_root(2) on one and the same
// directory stacks the old root on the new. On a machine that still runs from its initial RAM
// file system the kernel refuses it, and the old root stays, out of sight.
func enter(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	err := unix.PivotRoot(".", ".")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Chroot(".")
	} else if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("root: %w", err)
	}
	return unix.Chdir("/")
}
