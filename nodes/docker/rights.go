package docker

import dc "github.com/ory/dockertest/v3/docker"

// grant adds to a holder's rights what the run's faults take of the kernel:
//
//   - clocks: SYS_PTRACE, to stop the node's process at its first instruction, and, where
//     Yama restricts it (kernel.yama.ptrace_scope), to write to its memory;
//   - disks: /dev/fuse; SYS_ADMIN, SYS_CHROOT and SYS_PTRACE, to mount in the node's mount
//     namespace; DAC_OVERRIDE, CHOWN, FOWNER and MKNOD, to do to the node's files what the
//     node may. AppArmor's profile for containers forbids every mount, so it is taken off.
func (c *cluster) grant(h *dc.HostConfig) *dc.HostConfig {
	if c.rights.Clock {
		h.CapAdd = append(h.CapAdd, "SYS_PTRACE")
	}
	if c.rights.Disk {
		h.CapAdd = append(h.CapAdd, "SYS_ADMIN", "SYS_CHROOT", "SYS_PTRACE", "DAC_OVERRIDE", "CHOWN", "FOWNER", "MKNOD")
		h.Devices = append(h.Devices, dc.Device{PathOnHost: fuse, PathInContainer: fuse, CgroupPermissions: "rwm"})
		h.SecurityOpt = append(h.SecurityOpt, "apparmor=unconfined")
	}
	return h
}

const fuse = "/dev/fuse"

// What a container may take of the machine, which many share: a node that leaks ends by itself,
// and takes nobody else along. Servers of the systems that were tried use some 100 MiB and 30
// threads; a holder keeps in memory what a disk has not been told to keep.
const (
	memoryLimit  = 2 << 30 // bytes, swap included
	processLimit = 4096    // threads count
)

func limited(h *dc.HostConfig) *dc.HostConfig {
	h.Memory, h.MemorySwap, h.PidsLimit = memoryLimit, memoryLimit, processLimit
	return h
}
