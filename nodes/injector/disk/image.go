//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

const (
	pageSize    = 4096
	sectorSize  = 512
	entryCost   = 96 // bytes of a page's entry in the log, besides its content; roughly
	extentCost  = 24
	allExtents  = -1 // the length of an extent that is a truncation
	neverShrunk = int64(1) << 62
)

// image is what is known of a file whose content is not all durable: the durable content of each
// page that was changed, read just before the first change. The rest of the durable image
// is in the backing file itself. So a page costs its 4 KiB once, however often it is
// written, and an append costs next to nothing.
type image struct {
	size   int64 // durable size in bytes
	shrunk int64 // the smallest size since, if it was truncated
	pages  map[int64]*page
	writes []extent // since the last sync, in order
	number uint64   // files are numbered in the order of their first unsynced change
	lost   bool     // there was too much to remember
}

// page is the durable content of one page: pageSize bytes, or fewer where the durable file ended.
// An absent rest reads as zeros.
type page struct {
	old   []byte
	dirty bool // the next sync makes it durable; false after a sync that failed
}

// extent is a range of bytes that was written, or with the length allExtents the new size of a truncation.
type extent struct{ off, size int64 }

func (m *image) cost() int64 {
	sum := int64(len(m.writes)) * extentCost
	for _, p := range m.pages {
		sum += int64(len(p.old)) + entryCost
	}
	return sum
}

// imageOf starts the log of a file with what is there now. The caller holds n.mu.
func (d *Disk) imageOf(n *inode) (*image, error) {
	if n.data != nil {
		return n.data, nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return nil, err
	}
	n.data = &image{size: st.Size, shrunk: neverShrunk, pages: map[int64]*page{}, number: d.changes.Add(1)}
	return n.data, nil
}

// remember is called before size bytes from off are changed. fd can be read. The caller holds n.mu.
func (d *Disk) remember(n *inode, fd int, off, size int64) error {
	m, err := d.imageOf(n)
	if err != nil || size <= 0 {
		return err
	}
	if err := d.save(m, fd, off, off+size); err != nil {
		return err
	}
	if !m.lost {
		m.writes = append(m.writes, extent{off, size})
		d.memory.Add(extentCost)
	}
	return nil
}

// rememberCut is called before a file of the size current is truncated to size.
func (d *Disk) rememberCut(n *inode, fd int, current, size int64) error {
	m, err := d.imageOf(n)
	if err != nil {
		return err
	}
	if size < current {
		if err := d.save(m, fd, size, current); err != nil {
			return err
		}
		m.shrunk = min(m.shrunk, size)
	}
	if !m.lost {
		m.writes = append(m.writes, extent{size, allExtents})
		d.memory.Add(extentCost)
	}
	return nil
}

// save keeps the pages of a range that are not kept yet.
func (d *Disk) save(m *image, fd int, from, to int64) error {
	for at := from / pageSize; at*pageSize < to && !m.lost; at++ {
		if p := m.pages[at]; p != nil {
			p.dirty = true
			continue
		}
		p := &page{dirty: true}
		if left := m.size - at*pageSize; left > 0 {
			p.old = make([]byte, min(left, pageSize))
			size, err := readFull(fd, p.old, at*pageSize)
			if err != nil {
				return err
			}
			p.old = p.old[:size]
		}
		m.pages[at] = p
		if d.memory.Add(int64(len(p.old))+entryCost) > d.limit {
			d.memory.Add(-m.cost())
			m.lost, m.pages, m.writes = true, nil, nil
		}
	}
	return nil
}

// commit makes all durable but what a failed sync has dropped. The caller holds n.mu.
func (d *Disk) commit(n *inode) error {
	m := n.data
	if m == nil {
		return nil
	}
	before := m.cost()
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	for at, p := range m.pages {
		if p.dirty || at*pageSize >= st.Size {
			delete(m.pages, at)
		}
	}
	m.size, m.shrunk, m.writes, m.lost = st.Size, neverShrunk, nil, false
	if len(m.pages) == 0 {
		d.memory.Add(-before)
		n.data = nil
		return nil
	}
	d.memory.Add(m.cost() - before)
	return nil
}

// abandon is what Linux does when a sync fails: the pages count as clean and are not tried again,
// though the disk does not have them (fsync(2), "Errors"; the PostgreSQL case of 2018).
func (d *Disk) abandon(n *inode) {
	if n.data == nil {
		return
	}
	d.memory.Add(-extentCost * int64(len(n.data.writes)))
	n.data.writes = nil
	for _, p := range n.data.pages {
		p.dirty = false
	}
}

// restore brings a file back to its durable image and what survives of the rest. The caller holds n.mu.
func (d *Disk) restore(n *inode, draw *dice) error {
	m := n.data
	d.memory.Add(-m.cost())
	n.data = nil
	if m.lost {
		return fmt.Errorf("%s: %w", d.path(n), ErrForgotten)
	}
	fd, err := d.reopen(n, unix.O_RDWR)
	if err != nil {
		return fmt.Errorf("%s: %w", d.path(n), err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	base := m.size
	pieces, cut := m.survivors(draw, st.Size)
	if cut {
		base = min(base, m.shrunk)
	}
	for i := range pieces {
		if _, err := readFull(fd, pieces[i].data, pieces[i].off); err != nil {
			return err
		}
	}
	return m.write(fd, base, pieces)
}

// write puts the durable pages below base back, and the pieces over them.
func (m *image) write(fd int, base int64, pieces []piece) error {
	if err := unix.Ftruncate(fd, base); err != nil {
		return err
	}
	for at, p := range m.pages {
		size := min(base-at*pageSize, pageSize)
		if size <= 0 {
			continue
		}
		content := make([]byte, size)
		copy(content, p.old)
		if err := writeFull(fd, content, at*pageSize); err != nil {
			return err
		}
	}
	for _, p := range pieces {
		if err := writeFull(fd, p.data, p.off); err != nil {
			return err
		}
	}
	return nil
}

// readFull reads until the end of the file or of the buffer.
func readFull(fd int, buf []byte, off int64) (size int, err error) {
	for size < len(buf) {
		got, err := unix.Pread(fd, buf[size:], off+int64(size))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return size, err
		case got == 0:
			return size, nil
		}
		size += max(got, 0)
	}
	return size, nil
}

func writeFull(fd int, buf []byte, off int64) error {
	for len(buf) > 0 {
		done, err := unix.Pwrite(fd, buf, off)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case done == 0:
			return io.ErrShortWrite
		}
		buf, off = buf[done:], off+int64(done)
	}
	return nil
}
