// Package storage keeps what Raft must not forget on a nodes.Disk: the log and the vote
// (OpenLog) and snapshots of the state machine (OpenSnapshots). It touches nothing but the
// Disk, so it runs on a simulated one as well.
//
//	log, err := storage.OpenLog(host.Disk(), "raft")
//	snapshots, err := storage.OpenSnapshots(host.Disk(), "raft/snapshots", 2)
//	node, err := raft.NewRaft(config, fsm, log, log, snapshots, transport)
//
// # Promises
//
// StoreLogs, DeleteRange, Set and SetUint64 return nil only after their effect survives a
// loss of power. Each is atomic: after a crash in the middle of one, the next Open finds
// all of it or nothing. If a write or an fsync fails, the Log refuses every later change:
// after a failed fsync the kernel may have thrown the dirty pages away and still report
// success to the next one (https://wiki.postgresql.org/wiki/Fsync_Errors), so the only
// way to know what the disk holds is to open it again.
//
// A Log reads entries from the disk. It has no cache; raft.NewLogCache is one.
//
// # The log
//
// Segment files NNNNNNNNNNNNNNNNNNNN.log, numbered from 1 without gaps. All integers are
// little-endian, all checksums CRC-32C.
//
//	segment  magic "FLTLLOG1", u64 number, u32 checksum of both; then frames
//	frame    u32 magic, u32 kind, u64 its own offset in the file, u32 bytes in its body,
//	         u32 records in its body, u32 checksum of all these; then the body
//	record   u32 length, u32 checksum of length and payload, payload
//	kind 1   entries: the payload is u64 index, u64 term, u8 type, i64 seconds and u32
//	         nanoseconds of AppendedAt, u32 length of data, data, extensions
//	kind 2   drop: the payload is u64 min, u64 max: entries before this frame whose index
//	         lies in [min, max] are deleted
//
// One call of StoreLogs or DeleteRange is one frame and one fsync. A file is never
// written before its last byte, except that Open cuts a torn tail: the log's state is the
// replay of its frames. Once the oldest segment holds no entry that is not deleted, it is
// removed, and only then the next one is looked at.
//
// # Torn or corrupt
//
// A frame is written only after the one before it was synced. So at most the last frame of
// the last segment can be torn by a crash, and it was never acknowledged: Open cuts it
// off. A damaged frame with a whole one behind it, or in an earlier segment, was synced
// once, and Open fails with a CorruptError. Damage to the very last frame cannot be
// distinguished from a torn write; it is cut off.
//
// # The stable store
//
// One file, stable, replaced as a whole: magic "FLTLSTB1", u32 keys, for each (sorted) u32
// and key, u32 and value; u32 checksum of it all.
//
// # Snapshots
//
// Files TERM-INDEX-N.snap, written under a temporary name and renamed when complete:
// the state, then raft.SnapshotMeta as JSON, then a footer of fixed size: u64 bytes of
// state, u32 checksum of the state, u32 bytes of JSON, u32 checksum of JSON and the
// footer so far, magic "FLTLSNP1".
package storage
