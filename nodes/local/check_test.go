//go:build linux

package local

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"faultline/nodes/injector"
)

func TestWhatForbidsNamespacesIsNamed(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	forbidden := &fs.PathError{Op: "fork/exec", Path: "injector", Err: syscall.EPERM}
	for name, c := range map[string]struct {
		sys   fstest.MapFS
		err   error
		wants []string
	}{
		"Debian": {fstest.MapFS{"kernel/unprivileged_userns_clone": file("0"), "user/max_user_namespaces": file("1000")},
			forbidden, []string{"`sysctl -w kernel.unprivileged_userns_clone=1`", "or run as root"}},
		"none left": {fstest.MapFS{"user/max_user_namespaces": file("0")},
			&fs.PathError{Op: "fork/exec", Path: "injector", Err: syscall.ENOSPC}, []string{"user.max_user_namespaces is 0"}},
		"Ubuntu": {fstest.MapFS{"kernel/apparmor_restrict_unprivileged_userns": file("1"), "kernel/unprivileged_userns_clone": file("1")},
			errors.New("pod of s1: mount namespace: operation not permitted"),
			[]string{"`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"}},
		"container": {fstest.MapFS{}, forbidden, []string{"in a container", "CONFIG_USER_NS"}},
		"noexec": {fstest.MapFS{}, &fs.PathError{Op: "fork/exec", Path: "injector", Err: syscall.EACCES},
			[]string{"noexec", "TMPDIR"}},
	} {
		got := explainBy(c.sys, c.err)
		require.ErrorIs(t, got, c.err, name)
		for _, want := range c.wants {
			require.ErrorContains(t, got, want, name)
		}
	}
}

func TestOnlyRefusalsAreExplained(t *testing.T) {
	require.NoError(t, explainAll(nil))
	lacks := errors.New("the kernel has no veth devices")
	require.Equal(t, lacks, explainAll(errors.Join(lacks, lacks)))
	said := errors.New("disk faults " + injector.NotHere + ": /dev/fuse: permission denied; the way out")
	require.Equal(t, said, explainAll(errors.Join(said, said)), "it says itself why")
	refused := errors.New("tmpfs: operation not permitted")
	require.ErrorIs(t, explainAll(errors.Join(refused, refused)), refused)
}
