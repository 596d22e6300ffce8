// Package disk is a disk that fails: a FUSE file system over a backing directory, which passes
// everything through and can lie, be slow, full or broken, and lose power.
//
//	d, err := disk.New("/data")                          // serve this directory
//	err = d.Mount("/data")                               // over itself, for processes of this mount namespace
//	err = d.Attach(fd, "/data")                          // or in that of /proc/PID/ns/mnt
//	err = d.Set(disk.State{SlowSync: 200 * time.Millisecond})
//	seen, err := d.Probe()                               // it is so: real system calls say it
//	// … the node is killed …
//	loss, err := d.PowerLoss(0)                          // what it had not synced is gone
//	err = d.Close()
//
// All attachments are one file system with one page cache. One that is in another mount namespace
// ends with that namespace. It needs CAP_SYS_ADMIN in the user namespace that it runs in (that of
// `unshare -Urm` is enough), /dev/fuse, /proc, and Linux 5.12 or newer; not fusermount. Files that
// other users create are theirs if it runs as root with CAP_CHOWN.
//
// # What a power loss takes
//
// Writes reach the backing file at once. Before a durable page is changed for the first time, its
// content is kept in memory, until a sync of the file; PowerLoss puts it back. So
// the cost of a page is that of 4 KiB however often it is written, and appends cost next to
// nothing. Beyond 256 MiB a file is given up: PowerLoss then answers ErrForgotten, and
// nothing can be concluded from that run.
//
// Names are taken strictly, as POSIX promises them and no more (Pillai et al., "All File Systems Are
// Not Created Equal", OSDI 2014): a create, unlink, rename, link, symlink or mkdir is durable when the
// directory was synced afterwards. A sync of a file makes its content durable, not its name. Real
// file systems are kinder: on ext4, xfs and btrfs the sync of a new file makes its name
// durable too, and on ext4 a sync commits all earlier names. A program that loses data
// here for want of a sync of a directory may therefore never lose it on ext4; it is wrong
// by the manual all the same (fsync(2)). In one thing this package is kinder than it needs to be: a rename
// from one directory to another ties the two, and those above the second, and the sync of one of
// them makes the names of all of them durable. A rename is there wholly or not at all.
//
// What is removed or replaced while its durable name leads to it is kept by a hard link in the
// hidden directory .faultline-kept of the backing directory, until it is durably gone. So a node that never
// syncs a directory whose durable files it replaces keeps one old version of each.
//
// With a seed, PowerLoss leaves torn writes. Of each unsynced write nothing, all, or a prefix up to a
// 512-byte boundary has reached the disk, and a later one may have where an earlier one has not,
// since pages are written back in any order. A sector is as it was when durable or as it was
// at the end; a write after a truncation never arrives without it. Names are all lost.
// The same calls and the same seed give the same outcome.
//
// A sync that fails drops what it should have written, as Linux does: it stays readable, no later
// sync makes it durable, and a power loss takes it, unless it was written again. A sync of a
// directory that fails may be repeated.
//
// # States
//
// Lie, FailSync and SlowSync are about fsync, fdatasync, the sync of a directory, and writes to a
// file opened with O_SYNC or O_DSYNC (for which a kernel may ask twice, and so wait twice). What is read from the page
// cache does not reach the disk; entering FailRead or SlowIO empties the cache. A write through mmap
// arrives when the kernel writes it back, at the latest at msync, fsync or munmap. Full
// refuses (ENOSPC) to create a file, directory, link or symlink, and to write beyond the end of a
// file or into a hole, for which it takes what was fallocated and never written in a file that has other holes.
// Overwriting, removing, renaming and truncating work.
//
// # What it is not for
//
//   - sync(2) and syncfs(2): the kernel does not tell FUSE of them, so they make nothing durable here.
//   - Owners, modes, times: passed through, and not undone by a power loss. Extended attributes and
//     O_TMPFILE are refused (EOPNOTSUPP), as file systems may.
//   - The order in which a real file system commits its journal: what is unsynced is all lost, or torn.
//   - To survive its own end: if the process is killed, the mount answers "Transport endpoint is not
//     connected" until it is unmounted, which is harmless in a namespace that ends too, and
//     the backing directory is whatever had passed through.
//   - Speed: a write of 4 KiB takes 36 µs instead of 1 µs, one with a sync 0.32 ms instead of 0.14 ms, and a
//     power loss with 1,000 unsynced writes 9 ms (BenchmarkWrite, BenchmarkPowerLoss; 2 cores, ext4).
//
// # Traps
//
// This process may use its own mount: os.File works since New has taught the kernel that nothing
// here can be polled; but do not mmap a file of it. Close never waits for a process
// that has files open.
package disk
