package fakedisk

import (
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
)

// Loss is one change that was not synced when the power went, which survives or not.
type Loss struct {
	Name   string // of the file
	Naming bool   // it is the name itself that was created, replaced or removed
	Number int    // of the piece of data in this file, from 0
	Of     int    // how many pieces there are
}

// Fate decides what survives a loss of power.
type Fate func(Loss) bool

// Fates that tests should try, by name.
var Fates = map[string]Fate{
	"nothing":      func(Loss) bool { return false },
	"everything":   func(Loss) bool { return true },
	"names":        func(l Loss) bool { return l.Naming },
	"data":         func(l Loss) bool { return !l.Naming },
	"first half":   func(l Loss) bool { return l.Naming || l.Number < (l.Of+1)/2 },
	"second half":  func(l Loss) bool { return l.Naming || l.Number >= (l.Of+1)/2 },
	"all but last": func(l Loss) bool { return l.Naming || l.Number != l.Of-1 },
	"last":         func(l Loss) bool { return l.Naming || l.Number == l.Of-1 },
	"dice 1":       dice(1),
	"dice 2":       dice(2),
	"dice 3":       dice(3),
}

func dice(seed int) Fate {
	return func(l Loss) bool {
		h := fnv.New32a()
		h.Write([]byte(strconv.Itoa(seed) + l.Name + strconv.Itoa(l.Number) + strconv.FormatBool(l.Naming)))
		return h.Sum32()>>7&1 == 0
	}
}

// PowerLoss ends this disk and returns the one that is found when the power is back.
func (d *Disk) PowerLoss(fate Fate) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	after := New()
	copies := map[*inode]*inode{}
	all := maps.Clone(d.durable)
	maps.Copy(all, d.names)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		n := d.durable[name]
		if d.names[name] != n && fate(Loss{Name: name, Naming: true}) {
			n = d.names[name]
		}
		if n == nil || name == "." {
			continue
		}
		if copies[n] == nil {
			data := n.survivors(name, fate)
			copies[n] = &inode{dir: n.dir, data: data, durable: slices.Clone(data)}
		}
		after.names[name], after.durable[name] = copies[n], copies[n]
	}
	after.prune()
	return after
}

func (n *inode) survivors(name string, fate Fate) []byte {
	data := slices.Clone(n.durable)
	for i, p := range n.pending {
		if fate(Loss{Name: name, Number: i, Of: len(n.pending)}) {
			data = p.apply(data)
		}
	}
	return data
}

// prune takes out what lies in directories that did not survive.
func (d *Disk) prune() {
	for _, name := range slices.Sorted(maps.Keys(d.names)) { // a directory before what is in it
		if d.parent(name) != nil {
			delete(d.names, name)
			delete(d.durable, name)
		}
	}
}

// Kill ends this disk and returns the one that the process's successor finds: everything
// that was written, synced or not.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	copies := map[*inode]*inode{}
	copyAll := func(names map[string]*inode) map[string]*inode {
		out := map[string]*inode{}
		for name, n := range names {
			if copies[n] == nil {
				copies[n] = &inode{n.dir, slices.Clone(n.data), slices.Clone(n.durable), slices.Clone(n.pending)}
			}
			out[name] = copies[n]
		}
		return out
	}
	return &Disk{names: copyAll(d.names), durable: copyAll(d.durable)}
}
