//go:build linux

package space

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"faultline/nodes/injector"
)

// becomeNode executes the node without any capability. It runs as the namespace's root,
// to whom an exec gives whatever the bounding set leaves (capabilities(7)): nothing.
// So the injector has all that the node has, and may look at it and signal it.
func becomeNode() error {
	runtime.LockOSThread() // capabilities are a thread's, and it is this one that executes
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // the kernel knows no more of them
			break
		}
		if err != nil {
			return fmt.Errorf("giving up capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	none := [2]unix.CapUserData{}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	return injector.BecomeTold(entryFD)
}
