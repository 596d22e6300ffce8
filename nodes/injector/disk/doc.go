// Package disk is a disk that fails: a FUSE file system over a backing directory, which passes
// everything through and can lie, be slow, full or broken, and lose power.
//
//	d, err := disk.New("/data", client)                  // serve this directory; client: see New
//	err = d.Mount("/data")                               // over itself, for processes of this mount namespace
//	err = d.Attach(fd, "/data")                          // or in that of /proc/PID/ns/mnt
//	err = d.Set(faults.Disk{SlowSync: 200 * time.Millisecond})
//	seen, err := d.Probe()                               // it is so: real system calls say it
//	// … the node is killed …
//	loss, err := d.PowerLoss(0, disk.Journaled)          // what it had not synced is gone
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
// # Which names it takes
//
// A name is changed by create, unlink, rename, link, symlink, mkdir and rmdir. Of two models one is chosen at each power loss; the
// disk keeps the account of both. Either way a rename is there wholly or not at all, and what is at a name that
// was renamed over is the old file or the new one.
//
// POSIX promises a name once its directory was synced, and no more (fsync(2): "Calling fsync() does not necessarily
// ensure that the entry in the directory containing the file has also reached disk"; Pillai et al., "All File Systems Are Not
// Created Equal", OSDI 2014). By this model a sync of a file makes its content durable and not its name. A program that loses data by it
// is wrong by the manual, and may never lose any on the file system that it runs on. In one thing the model is kinder than it needs to be: a rename
// from one directory to another ties the two, and those above the second, and the sync of one of
// them makes the names of all of them durable.
//
// Journaled is what ext4 (data=ordered), XFS and btrfs all keep; what one of them may lose is lost. They are not told apart.
//
//	fsync of a new file           its name, and those of all new directories above it, are durable
//	fsync of a renamed file       the rename is durable: the new name is there, and the old one is gone
//	fsync of a linked file        all of its names are; a name that was unlinked is gone
//	fdatasync                     the same for a file that is new or has grown; else it makes no name durable
//	fsync of an unlinked file     nothing (btrfs does not log it)
//	fsync of a directory          all names in it, its own, and those of new directories above it
//	fsync of something else       nothing. ext4 and XFS keep the order of all changes of names, and so would keep what came before; btrfs
//	                              logs one file at a time
//	unlink, rmdir                 durable with a sync of the directory, or of what took the name
//	rename, the file not synced   the old file stays until the rename is durable; the new one has the content that was synced, which may be none.
//	                              (ext4 alone writes it before, auto_da_alloc)
//
// What was at a name is settled with what is there now, whatever other names the two have: mv log log.1, create log, fsync log
// makes the first rename durable too, as it would lose the file otherwise.
//
// The sources: J. Mohan, "Documentation: Add file system crash-recovery guarantees" (linux-fsdevel, March 2019, with D. Chinner's
// "strictly ordered metadata consistency" of XFS); Mohan et al., "Finding Crash-Consistency Bugs with Bounded Black-Box
// Crash Testing", OSDI 2018, whose tool holds file systems to these rules; for ext4 the kernel's
// Documentation/admin-guide/ext4.rst (auto_da_alloc, data=ordered) and fs/ext4/fsync.c, which commits the transaction that changed the inode last
// (i_sync_tid, i_datasync_tid); for XFS xfs_file_fsync, which forces the log up to the inode's last change; for btrfs fs/btrfs/tree-log.c and its
// commits 12fcfd22fe5b ("tree logging unlink/rename fixes"), 2f2ff0ee5e43 ("metadata inconsistencies after directory
// fsync": new files and directories in it are logged with it), 6b5fc433a7ad (what had a name before is logged with what has it now) and d4682ba03ef6
// ("sync log after logging new name").
//
// What is removed or replaced while its durable name leads to it is kept by a hard link in the
// hidden directory .faultline-kept of the backing directory, until it is durably gone by both models. So a node that never
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
// file opened with O_SYNC or O_DSYNC (for which a kernel may ask twice, and so wait twice). A signal does not shorten
// a slow sync, unless it ends the caller: there is no EINTR. What is read from the page
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
// The process that serves must not use the mount, also not by a path that leads into it: killed in such a call it would wait for itself, and
// nothing but fusectl's abort could free it (AbortAbandoned does that). So what this package does it does below the mount, and what has to go through
// it (Probe, and the files that prove a PowerLoss) a client does, a process that has nothing of the server. If the server is killed
// then, the device is closed and everybody's calls end. One moment is left: a server that is killed while it makes the kernel forget pages
// (Set to FailRead or SlowIO, PowerLoss, Damage) and a read of the node is between question and answer; the node is dead in all of these but Set.
// Close never waits for a process that has files open.
package disk
