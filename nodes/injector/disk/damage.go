//go:build linux

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Harm is a kind of damage.
type Harm string

const (
	FlipBit  Harm = "flip-bit" // one bit of the file is the other one
	Truncate Harm = "truncate" // the file ends early
)

// Damage is what to do: one harm to one file.
type Damage struct {
	Pattern string `json:"pattern"`          // of path/filepath.Match, relative to the mount: "raft/*.wal"
	Newest  bool   `json:"newest,omitempty"` // the match that was changed last; otherwise Seed draws one
	Harm    Harm   `json:"harm"`
	Seed    uint64 `json:"seed"`
}

// Damaged is what was done.
type Damaged struct {
	File    string `json:"file"`
	Harm    Harm   `json:"harm"`
	Offset  int64  `json:"offset"`        // of the byte with the bit; the new size of a truncation
	Bit     int    `json:"bit,omitempty"` // 0 to 7, 0 the least
	OldSize int64  `json:"old_size"`
	NewSize int64  `json:"new_size"`

	inode, start uint64 // start is the offset of old
	old, left    []byte // what was there, and what took its place
}

// ErrNothing is what Damage says when no file that has content matches.
var ErrNothing = errors.New("no file with content matches")

// Damage harms a file of the backing directory, below the node: no call of the node did it, and a
// power loss does not undo it. A file with unsynced changes is harmed as it is on top; a power loss may restore
// over it.
func (d *Disk) Damage(what Damage) (Damaged, error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return Damaged{}, ErrClosed
	}
	done, err := d.damage(what)
	if err != nil {
		return Damaged{}, fmt.Errorf("disk: damage to %s: %w", what.Pattern, err)
	}
	d.dropCaches()
	return done, nil
}

func (d *Disk) damage(what Damage) (Damaged, error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	if what.Harm != FlipBit && what.Harm != Truncate {
		return Damaged{}, fmt.Errorf("%q is no harm", what.Harm)
	}
	name, err := d.choose(what)
	if err != nil {
		return Damaged{}, err
	}
	fd, st, err := d.openBacking(name)
	if err != nil {
		return Damaged{}, err
	}
	defer unix.Close(fd)
	random := rand.New(rand.NewPCG(what.Seed, 1))
	at := random.Int64N(st.Size)
	done := Damaged{File: name, Harm: what.Harm, Offset: at, OldSize: st.Size, NewSize: st.Size, inode: st.Ino, start: uint64(at)}
	size := int64(1)
	if what.Harm == Truncate {
		size, done.NewSize = st.Size-at, at
	}
	if size > d.limit {
		return Damaged{}, fmt.Errorf("%s: %d bytes to remember are too many", name, size)
	}
	done.old = make([]byte, size)
	if _, err := readFull(fd, done.old, at); err != nil {
		return Damaged{}, err
	}
	if what.Harm == Truncate {
		return done, unix.Ftruncate(fd, at)
	}
	done.Bit = random.IntN(8)
	done.left = []byte{done.old[0] ^ 1<<done.Bit}
	return done, writeFull(fd, done.left, at)
}

// choose gives the file to harm, relative to the backing directory.
func (d *Disk) choose(what Damage) (string, error) {
	if !filepath.IsLocal(what.Pattern) {
		return "", errors.New("the pattern leaves the disk")
	}
	matches, err := fs.Glob(os.DirFS(d.backing(".")), filepath.Clean(what.Pattern))
	if err != nil {
		return "", err
	}
	var names []string
	newest, newestTime := "", unix.Timespec{}
	for _, name := range matches {
		var st unix.Stat_t
		first, _, _ := strings.Cut(name, "/")
		if d.reserved(d.root, first) || unix.Lstat(d.backing(name), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 {
			continue
		}
		names = append(names, name)
		if newest == "" || unix.TimespecToNsec(st.Mtim) > unix.TimespecToNsec(newestTime) {
			newest, newestTime = name, st.Mtim
		}
	}
	switch {
	case len(names) == 0:
		return "", ErrNothing
	case what.Newest:
		return newest, nil
	}
	slices.Sort(names)
	return names[rand.New(rand.NewPCG(what.Seed, 0)).IntN(len(names))], nil
}

func (d *Disk) openBacking(name string) (fd int, st unix.Stat_t, err error) {
	fd, err = unix.Open(d.backing(name), unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, st, err
	}
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// Repair brings back what a Damage took, as far as nobody has overwritten it since. repaired tells
// whether it did: it does not if the file is another one or gone, the byte is no longer as the
// damage left it, or the file is not as long as the truncation left it.
func (d *Disk) Repair(done Damaged) (repaired bool, err error) {
	d.acts.Lock()
	defer d.acts.Unlock()
	if d.conn == nil {
		return false, ErrClosed
	}
	repaired, err = d.repair(done)
	if err != nil {
		return false, fmt.Errorf("disk: repair of %s: %w", done.File, err)
	}
	d.dropCaches()
	return repaired, nil
}

func (d *Disk) repair(done Damaged) (bool, error) {
	d.gate.Lock()
	defer d.gate.Unlock()
	fd, st, err := d.openBacking(done.File)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	if st.Ino != done.inode {
		return false, nil
	}
	now := make([]byte, len(done.left))
	size, err := readFull(fd, now, int64(done.start))
	if err != nil {
		return false, err
	}
	untouched := size == len(done.left) && slices.Equal(now, done.left)
	if done.Harm == Truncate {
		untouched = st.Size == done.NewSize
	}
	if !untouched {
		return false, nil
	}
	return true, writeFull(fd, done.old, int64(done.start))
}
