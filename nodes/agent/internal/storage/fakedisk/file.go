package fakedisk

import (
	"errors"
	"io"
	"io/fs"
	"slices"
)

// pieceSize is the unit in which writes survive a loss of power or not; far smaller than
// a sector, so that short records are torn as well.
const pieceSize = 8

// inode is a file's or directory's content, apart from its names.
type inode struct {
	dir     bool
	data    []byte // in the page cache
	durable []byte // on the disk
	pending []piece
}

// piece is a change of the data that was not synced: a write, or a truncation if data is nil.
type piece struct {
	offset int64
	data   []byte
}

func (p piece) apply(to []byte) []byte {
	end := p.offset + int64(len(p.data))
	if missing := end - int64(len(to)); missing > 0 {
		to = append(to, make([]byte, missing)...)
	}
	if p.data == nil {
		return to[:p.offset]
	}
	copy(to[p.offset:], p.data)
	return to
}

func (n *inode) write(b []byte, at int64) {
	if len(b) == 0 {
		return
	}
	whole := piece{at, slices.Clone(b)}
	n.data = whole.apply(n.data)
	for len(whole.data) > 0 {
		size := min(len(whole.data), pieceSize)
		n.pending = append(n.pending, piece{whole.offset, whole.data[:size:size]})
		whole = piece{whole.offset + int64(size), whole.data[size:]}
	}
}

func (n *inode) truncate(size int64) {
	p := piece{offset: size}
	n.data = p.apply(n.data)
	n.pending = append(n.pending, p)
}

// file is an open file; it outlives the removal of its name.
type file struct {
	disk     *Disk
	name     string
	inode    *inode
	writable bool
	position int64
	closed   bool
}

// use takes the lock for one call.
func (f *file) use() (unlock func(), err error) {
	f.disk.mu.Lock()
	switch {
	case f.disk.dead:
		err = ErrCrashed
	case f.closed:
		err = pathError("use", f.name, fs.ErrClosed)
	}
	return f.disk.mu.Unlock, err
}

func (f *file) Read(b []byte) (int, error) {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return 0, err
	}
	n, err := f.readAt(b, f.position)
	f.position += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(b []byte, at int64) (int, error) {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return 0, err
	}
	return f.readAt(b, at)
}

func (f *file) readAt(b []byte, at int64) (int, error) {
	if at < 0 || at > int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.inode.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(b []byte) (int, error) {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return 0, err
	}
	n, err := f.writeAt(b, f.position)
	f.position += int64(n)
	return n, err
}

func (f *file) WriteAt(b []byte, at int64) (int, error) {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return 0, err
	}
	return f.writeAt(b, at)
}

func (f *file) writeAt(b []byte, at int64) (int, error) {
	if !f.writable {
		return 0, pathError("write", f.name, fs.ErrPermission)
	}
	err := f.disk.change(Write, f.name)
	if err != nil {
		b = b[:len(b)/2]
	}
	f.inode.write(b, at)
	return len(b), err
}

func (f *file) Sync() error {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return err
	}
	err = f.disk.change(Sync, f.name)
	if errors.Is(err, ErrCrashed) {
		return err
	}
	if err == nil {
		for _, p := range f.inode.pending {
			f.inode.durable = p.apply(f.inode.durable)
		}
	}
	f.inode.pending = nil // a failed sync forgets what it should have written
	return err
}

func (f *file) Truncate(size int64) error {
	unlock, err := f.use()
	defer unlock()
	if err != nil {
		return err
	}
	if err := f.disk.change(Truncate, f.name); err != nil {
		return err
	}
	f.inode.truncate(size)
	return nil
}

func (f *file) Size() (int64, error) {
	unlock, err := f.use()
	defer unlock()
	return int64(len(f.inode.data)), err
}

func (f *file) Close() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}
