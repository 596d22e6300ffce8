//go:build linux

package disk

import (
	"errors"

	"golang.org/x/sys/unix"
)

// place is a name in a directory.
type place struct {
	dir  *inode
	name string
}

// entry is a name that is not what it was when it was last durable.
type entry struct {
	old *inode // what it led to then, pinned; nil: nothing
	now uint64 // the number of the inode that it leads to; 0: none
}

// note begins an entry, before its name is changed. The old inode is pinned for it.
func (d *Disk) note(p place, old *inode) {
	if p.dir.journal == nil {
		p.dir.journal = map[string]entry{}
	}
	e := entry{old: old}
	if old != nil {
		e.now = old.ino
	}
	p.dir.journal[p.name] = e
	d.mark(p, e)
}

// landed notes what a name leads to after it was changed. The caller holds mu.
func (d *Disk) landed(p place) error {
	e, ok := p.dir.journal[p.name]
	if !ok {
		return nil
	}
	var st unix.Stat_t
	err := unix.Fstatat(p.dir.fd, p.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	d.unmark(p, e)
	e.now = st.Ino
	p.dir.journal[p.name] = e
	d.mark(p, e)
	if e.old == nil && e.now == 0 || e.old != nil && e.old.ino == e.now {
		d.dropEntry(p) // it is what it was
	}
	return nil
}

// mark lets the inodes of an entry be found by it.
func (d *Disk) mark(p place, e entry) {
	for _, number := range e.numbers() {
		if d.places[number] == nil {
			d.places[number] = map[place]bool{}
		}
		d.places[number][p] = true
	}
}

func (d *Disk) unmark(p place, e entry) {
	for _, number := range e.numbers() {
		delete(d.places[number], p)
		if len(d.places[number]) == 0 {
			delete(d.places, number)
		}
	}
}

// numbers are the inodes that a name led and leads to.
func (e entry) numbers() (numbers []uint64) {
	if e.old != nil {
		numbers = append(numbers, e.old.ino)
	}
	if e.now != 0 {
		numbers = append(numbers, e.now)
	}
	return numbers
}

// dropEntry makes a name durable as it is.
func (d *Disk) dropEntry(p place) {
	e, ok := p.dir.journal[p.name]
	if !ok {
		return
	}
	d.unmark(p, e)
	delete(p.dir.journal, p.name)
	if e.old != nil {
		d.unpin(e.old)
	}
}

// settleFile is what the sync of a file does to names. What has no name at all any more makes nothing durable: btrfs does
// not log it. fdatasync (whole is false) counts only for a file that has never had a durable name. The caller holds mu.
func (d *Disk) settleFile(n *inode, whole bool) error {
	if len(d.places[n.ino]) == 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(n.fd, &st); err != nil {
		return err
	}
	links := int(st.Nlink)
	if n.pins > 0 {
		links-- // our own
	}
	if links == 0 || !whole && !d.unnamed(n, links) {
		return nil
	}
	return d.settleFrom(n, nil)
}

// unnamed reports whether none of the names of a file, links of them, was ever durable.
func (d *Disk) unnamed(n *inode, links int) bool {
	for p := range d.places[n.ino] {
		if p.dir.journal[p.name].old == n {
			return false
		}
	}
	return len(d.places[n.ino]) == links
}

// settleDir is what the sync of a directory does to names: its own, and those in it. The caller holds mu.
func (d *Disk) settleDir(dir *inode) error {
	if dir.gone {
		return nil
	}
	return d.settleFrom(dir, dir)
}

// settling makes names durable that hang together.
type settling struct {
	d       *Disk
	numbers []uint64 // of inodes whose names are yet to be settled
	seen    map[uint64]bool
	walked  map[*inode]bool
	unpin   []*inode
	found   []*inode // directories, which nobody may need afterwards
}

// settleFrom settles the names of an inode, and the entries of a directory (nil: none), with all that hangs on them. If a
// name led to one inode and leads to another, the two are settled together, whatever their names are: so a rename is whole, also one
// that makes room for another. The directories above a name are settled with it, and the entries of a directory
// that is removed: what was moved out of it is elsewhere.
func (d *Disk) settleFrom(n, dir *inode) error {
	s := settling{d: d, seen: map[uint64]bool{}, walked: map[*inode]bool{}}
	s.add(n.ino)
	var err error
	if dir != nil {
		err = s.entries(dir)
	}
	for len(s.numbers) > 0 {
		number := s.numbers[0]
		s.numbers = s.numbers[1:]
		for p := range d.places[number] {
			err = errors.Join(err, s.take(p))
		}
		if n := d.byIno[number]; n != nil && n.gone {
			err = errors.Join(err, s.entries(n))
		}
	}
	for _, n := range s.unpin {
		d.unpin(n)
	}
	for _, n := range s.found {
		d.release(n)
	}
	return err
}

func (s *settling) add(number uint64) {
	if !s.seen[number] {
		s.seen[number] = true
		s.numbers = append(s.numbers, number)
	}
}

func (s *settling) entries(dir *inode) (err error) {
	for name := range dir.journal {
		err = errors.Join(err, s.take(place{dir, name}))
	}
	return err
}

// take makes one name durable as it is.
func (s *settling) take(p place) error {
	e := p.dir.journal[p.name]
	s.d.unmark(p, e)
	delete(p.dir.journal, p.name)
	if e.old != nil {
		s.unpin = append(s.unpin, e.old)
	}
	for _, number := range e.numbers() {
		s.add(number)
	}
	return s.above(p.dir)
}

// above adds the directories that lead to one, and itself.
func (s *settling) above(dir *inode) error {
	for !s.walked[dir] {
		s.walked[dir] = true
		s.found = append(s.found, dir)
		s.add(dir.ino)
		if dir == s.d.root || dir.gone {
			return nil
		}
		next, err := s.d.parent(dir)
		if err != nil {
			return err
		}
		dir = next
	}
	return nil
}
