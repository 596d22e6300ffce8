//go:build linux

package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"faultline/nodes/faults"
)

var names = []string{"a", "b", "d", "e", "d/a", "d/b", "d/e", "e/a", "e/b", "e/d", "d/e/a", "e/d/a"}

// pair is a disk and its model, which get the same operations.
type pair struct {
	t     testing.TB
	disk  mounted
	model *model
	log   []string
}

func (p *pair) name(b byte) string { return names[int(b)%len(names)] }

// both notes whether an operation should have worked, and that it did or not.
func (p *pair) both(err error, modelled bool, format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...)+fmt.Sprint(" -> ", err))
	require.Equal(p.t, modelled, err == nil, "%s\n%s", err, strings.Join(p.log, "\n"))
}

// step does one operation, which four bytes choose.
func (p *pair) step(op, x, y, z byte) {
	one, two := p.name(x), p.name(y)
	switch op % 16 {
	case 0, 1, 2:
		p.write(one, int(y)*61, bytes.Repeat([]byte{z | 1}, 1+int(z)*23))
	case 3:
		p.truncate(one, int(y)*61)
	case 4:
		p.unlink(one)
	case 5:
		p.mkdir(one)
	case 6:
		p.rmdir(one)
	case 7, 8:
		p.rename(one, two)
	case 9:
		p.exchange(one, two)
	case 10:
		p.link(one, two)
	case 11, 12:
		p.syncFile(one, z%8 == 0, z%3 == 0)
	case 13, 14:
		p.syncDir(filepath.Dir(one))
	case 15:
		if z%4 == 0 {
			p.powerLoss()
		}
	}
}

func (p *pair) write(name string, off int, data []byte) {
	dir, base, n := p.model.at(name)
	ok := dir != nil && (n == nil || !n.dir)
	f, err := os.OpenFile(p.disk.path(name), os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = f.WriteAt(data, int64(off))
		err = errors.Join(err, f.Close())
	}
	p.both(err, ok, "write %s %d+%d", name, off, len(data))
	if !ok {
		return
	}
	if n == nil {
		n = &node{}
		dir.now[base] = n
	}
	n.write(off, data)
}

func (p *pair) truncate(name string, size int) {
	_, _, n := p.model.at(name)
	ok := n != nil && !n.dir
	p.both(os.Truncate(p.disk.path(name), int64(size)), ok, "truncate %s %d", name, size)
	if ok {
		n.truncate(size)
	}
}

func (p *pair) unlink(name string) {
	dir, base, n := p.model.at(name)
	ok := n != nil && !n.dir
	p.both(unix.Unlink(p.disk.path(name)), ok, "unlink %s", name)
	if ok {
		delete(dir.now, base)
	}
}

func (p *pair) mkdir(name string) {
	dir, base, n := p.model.at(name)
	ok := dir != nil && n == nil
	p.both(unix.Mkdir(p.disk.path(name), 0o755), ok, "mkdir %s", name)
	if ok {
		dir.now[base] = p.model.newDir()
		dir.now[base].above = dir
	}
}

func (p *pair) rmdir(name string) {
	dir, base, n := p.model.at(name)
	ok := n != nil && n.dir && len(n.now) == 0
	p.both(unix.Rmdir(p.disk.path(name)), ok, "rmdir %s", name)
	if ok {
		n.removed = true
		delete(dir.now, base)
	}
}

func within(n, dir *node) bool {
	for ; dir != nil; dir = dir.above {
		if n == dir {
			return true
		}
	}
	return false
}

func (p *pair) rename(from, to string) {
	dir, base, n := p.model.at(from)
	toDir, toBase, old := p.model.at(to)
	ok := n != nil && toDir != nil && !within(n, toDir) &&
		(old == nil || old == n || (old.dir == n.dir && len(old.now) == 0))
	p.both(unix.Rename(p.disk.path(from), p.disk.path(to)), ok, "rename %s %s", from, to)
	if !ok || n == old {
		return
	}
	delete(dir.now, base)
	if old != nil {
		old.removed = old.dir
	}
	p.put(toDir, toBase, n)
	if dir != toDir {
		p.model.tie(dir, toDir)
	}
}

func (p *pair) put(dir *node, base string, n *node) {
	dir.now[base] = n
	if n.dir {
		n.above = dir
	}
}

func (p *pair) exchange(from, to string) {
	dir, base, n := p.model.at(from)
	toDir, toBase, old := p.model.at(to)
	ok := n != nil && old != nil && !within(n, toDir) && !within(old, dir)
	err := unix.Renameat2(unix.AT_FDCWD, p.disk.path(from), unix.AT_FDCWD, p.disk.path(to), unix.RENAME_EXCHANGE)
	if n != nil && n == old {
		ok = err == nil // the kernel looks for loops first
	}
	p.both(err, ok, "exchange %s %s", from, to)
	if !ok || n == old {
		return
	}
	p.put(dir, base, old)
	p.put(toDir, toBase, n)
	if dir != toDir {
		p.model.tie(dir, toDir)
	}
}

func (p *pair) link(from, to string) {
	_, _, n := p.model.at(from)
	toDir, toBase, old := p.model.at(to)
	ok := n != nil && !n.dir && toDir != nil && old == nil
	p.both(unix.Link(p.disk.path(from), p.disk.path(to)), ok, "link %s %s", from, to)
	if ok {
		toDir.now[toBase] = n
	}
}

func (p *pair) syncFile(name string, fails, dataOnly bool) {
	_, _, n := p.model.at(name)
	if n == nil || n.dir {
		return
	}
	require.NoError(p.t, p.disk.Set(faults.Disk{FailSync: fails}))
	f, err := os.Open(p.disk.path(name))
	require.NoError(p.t, err)
	err = map[bool]func(int) error{true: unix.Fdatasync, false: unix.Fsync}[dataOnly](int(f.Fd()))
	require.NoError(p.t, f.Close())
	p.both(err, !fails, "sync %s (data only: %v)", name, dataOnly)
	require.NoError(p.t, p.disk.Set(faults.Disk{}))
	if fails {
		n.failSync()
		return
	}
	grown := len(n.content) > len(n.settled)
	n.syncFile()
	p.model.syncNames(n, !dataOnly || grown)
}

func (p *pair) syncDir(name string) {
	dir := p.model.root
	if name != "." {
		if _, _, dir = p.model.at(name); dir == nil || !dir.dir {
			return
		}
	}
	p.disk.sync(p.t, name)
	p.log = append(p.log, "syncdir "+name)
	p.model.syncDir(dir)
}

func (p *pair) powerLoss() {
	p.compare()
	loss, err := p.disk.PowerLoss(0, p.model.by)
	p.log = append(p.log, fmt.Sprintf("power loss: %+v", loss))
	require.NoError(p.t, err, strings.Join(p.log, "\n"))
	require.Equal(p.t, Canary{Synced: true, Named: p.model.by != faults.NamesPOSIX, Lost: true}, loss.Canary)
	had := p.model.files((*node).seen)
	p.model.powerLoss()
	p.compare()
	if has := p.model.files((*node).seen); p.model.by == faults.NamesJournaled {
		for n := range p.model.safe {
			require.False(p.t, had[n] && !has[n], "a durable file that always had a name has none\n%s", strings.Join(p.log, "\n"))
		}
	}
	_, left := p.disk.Unsynced()
	require.Zero(p.t, left, strings.Join(p.log, "\n"))
	require.Zero(p.t, p.disk.memory.Load(), "the memory is miscounted\n%s", strings.Join(p.log, "\n"))
	require.Empty(p.t, p.disk.pinned(), strings.Join(p.log, "\n"))
	kept, err := os.ReadDir(filepath.Join(p.disk.backing, keptDir))
	require.NoError(p.t, err)
	require.Empty(p.t, kept)
}

// pinned lists what is kept for the undo log.
func (d *Disk) pinned() (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.byID {
		if n.pins > 0 {
			names = append(names, d.path(n))
		}
	}
	return names
}

// compare reads everything through the mount.
func (p *pair) compare() {
	var lines []string
	err := filepath.WalkDir(p.disk.at, func(name string, e fs.DirEntry, err error) error {
		if err != nil || name == p.disk.at {
			return err
		}
		short := strings.TrimPrefix(name, p.disk.at+"/")
		if e.IsDir() {
			lines = append(lines, short+"/")
			return nil
		}
		content, err := os.ReadFile(name)
		lines = append(lines, fmt.Sprintf("%s=%x", short, content))
		return err
	})
	require.NoError(p.t, err, strings.Join(p.log, "\n"))
	require.Equal(p.t, p.model.tree(), lines, strings.Join(p.log, "\n"))
}

func (p *pair) play(ops []byte) {
	for ; len(ops) >= 4; ops = ops[4:] {
		p.step(ops[0], ops[1], ops[2], ops[3])
	}
	p.powerLoss()
}

// selfAll, when it is "all", has TestTheDiskIsTheModel play all of its histories, as make self does every night; else it plays
// some, others every day.
const selfAll = "FAULTLINE_SELF"

func TestTheDiskIsTheModel(t *testing.T) {
	needsFUSE(t)
	const all, some = 300, 6
	first, histories := uint64(0), uint64(all)
	if os.Getenv(selfAll) != "all" {
		day := uint64(time.Now().Unix() / 86400)
		first, histories = day%(all/some)*some, some
	}
	for seed := first; seed < first+histories; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			ops := make([]byte, 4*300)
			for i := range ops {
				ops[i] = byte(random.Uint32())
			}
			for _, by := range []faults.Names{faults.NamesJournaled, faults.NamesPOSIX} {
				p := pair{t: t, disk: mountedDisk(t), model: newModel(by)}
				p.play(ops)
			}
		})
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte{5, 2, 0, 0, 0, 4, 0, 9, 7, 4, 0, 0, 13, 0, 0, 0, 15, 0, 0, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		for _, by := range []faults.Names{faults.NamesJournaled, faults.NamesPOSIX} {
			p := pair{t: t, disk: mountedDisk(t), model: newModel(by)}
			p.play(ops[:min(len(ops), 4*100)])
		}
	})
}
