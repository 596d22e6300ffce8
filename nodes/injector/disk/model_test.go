//go:build linux

package disk

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"faultline/nodes/faults"
)

// model is the two images of a file system in memory: what processes see, and what a power loss
// leaves. It copies whole directories and files where the disk keeps differences. Paths are
// relative, "" is the root; directories hold nodes, so that hard links and moved directories
// are one node.
type model struct {
	by   faults.Names
	root *node
	dirs []*node          // all that there ever were
	ties []map[*node]bool // directories that become durable together, by POSIX
	safe map[*node]bool   // files that have had a durable name
}

type node struct {
	dir              bool
	now, durable     map[string]*node // of a directory
	content, settled []byte           // of a file: what is there, and what is durable
	stuck            []bool           // by page of the content: a failed sync dropped it
	fresh            []bool           // by page: written since the last sync
	above            *node
	removed          bool // a directory
}

func newModel(by faults.Names) *model {
	m := &model{by: by, safe: map[*node]bool{}}
	m.root = m.newDir()
	return m
}

func (m *model) newDir() *node {
	n := &node{dir: true, now: map[string]*node{}, durable: map[string]*node{}}
	m.dirs = append(m.dirs, n)
	return n
}

// at gives the directory of a path and the last name, and what that leads to.
func (m *model) at(name string) (dir *node, base string, n *node) {
	dir = m.root
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		if dir = dir.now[part]; dir == nil || !dir.dir {
			return nil, "", nil
		}
	}
	base = parts[len(parts)-1]
	return dir, base, dir.now[base]
}

// tree lists an image: "path/" for directories, "path=content" for files.
func (m *model) tree() []string { return m.root.list("") }

func (n *node) list(prefix string) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(n.now)) {
		child, full := n.now[name], path.Join(prefix, name)
		if child.dir {
			lines = append(append(lines, full+"/"), child.list(full)...)
			continue
		}
		lines = append(lines, fmt.Sprintf("%s=%x", full, child.content))
	}
	return lines
}

// tie joins directories as a rename between two of them does.
func (m *model) tie(from, to *node) {
	joined := map[*node]bool{from: true}
	m.join(joined, from)
	for dir := to; dir != nil; dir = dir.above {
		joined[dir] = true
		m.join(joined, dir)
	}
	m.ties = append(m.ties, joined)
}

func (m *model) join(into map[*node]bool, dir *node) {
	m.ties = slices.DeleteFunc(m.ties, func(tie map[*node]bool) bool {
		if tie[dir] {
			maps.Copy(into, tie)
		}
		return tie[dir]
	})
}

func (m *model) syncDir(dir *node) {
	defer m.notice()
	if m.by != faults.NamesPOSIX {
		hang := map[*node]bool{dir: true}
		for _, name := range dir.differing() {
			m.take(hang, dir, name)
		}
		m.settle(hang)
		return
	}
	all := map[*node]bool{dir: true}
	m.join(all, dir)
	for d := range all {
		d.durable = maps.Clone(d.now)
	}
}

// syncNames is what the sync of a file does to names, Journaled.
func (m *model) syncNames(n *node, whole bool) {
	named, kept := false, false
	for _, dir := range m.dirs {
		for _, child := range dir.now {
			named = named || child == n && !dir.removed
		}
		for _, child := range dir.durable {
			kept = kept || child == n
		}
	}
	if m.by != faults.NamesPOSIX && named && (whole || !kept) {
		m.settle(map[*node]bool{n: true})
	}
	m.notice()
}

// settle makes durable, over and over, each name that leads or led to one of the nodes, which adds nodes.
func (m *model) settle(hang map[*node]bool) {
	for again := true; again; {
		again = false
		for _, dir := range m.dirs {
			for _, name := range dir.differing() {
				if hang[dir.now[name]] || hang[dir.durable[name]] || dir.removed && hang[dir] {
					m.take(hang, dir, name)
					again = true
				}
			}
		}
	}
}

func (m *model) take(hang map[*node]bool, dir *node, name string) {
	for _, n := range []*node{dir.now[name], dir.durable[name]} {
		if n != nil {
			hang[n] = true
		}
	}
	if dir.now[name] == nil {
		delete(dir.durable, name)
	} else {
		dir.durable[name] = dir.now[name]
	}
	for ; dir != nil; dir = dir.above {
		hang[dir] = true
		if dir.removed {
			return
		}
	}
}

// differing are the names that are not what they were when last durable.
func (n *node) differing() (names []string) {
	for name := range n.now {
		if n.durable[name] != n.now[name] {
			names = append(names, name)
		}
	}
	for name := range n.durable {
		if n.now[name] == nil {
			names = append(names, name)
		}
	}
	return names
}

func (n *node) seen() map[string]*node { return n.now }
func (n *node) kept() map[string]*node { return n.durable }

// files are those that one of the two images has.
func (m *model) files(image func(*node) map[string]*node) map[*node]bool {
	found := map[*node]bool{}
	var walk func(*node)
	walk = func(dir *node) {
		for _, child := range image(dir) {
			if child.dir {
				walk(child)
			} else {
				found[child] = true
			}
		}
	}
	walk(m.root)
	return found
}

func (m *model) notice() { maps.Copy(m.safe, m.files((*node).kept)) }

// syncFile makes a file durable but for what an earlier failed sync dropped.
func (n *node) syncFile() {
	settled := slices.Clone(n.content)
	for i, stuck := range n.stuck {
		if !stuck || i*pageSize >= len(settled) {
			continue
		}
		end := min(len(settled), (i+1)*pageSize)
		clear(settled[i*pageSize : end])
		if i*pageSize < len(n.settled) {
			copy(settled[i*pageSize:end], n.settled[i*pageSize:])
		}
	}
	n.settled = settled
	n.fresh = nil
	n.stuck = n.stuck[:min(len(n.stuck), (len(settled)+pageSize-1)/pageSize)]
}

// failSync drops what is fresh.
func (n *node) failSync() {
	for i, fresh := range n.fresh {
		if fresh {
			n.stuck = mark(n.stuck, i, true)
		}
	}
	n.fresh = nil
}

func mark(pages []bool, at int, value bool) []bool {
	for len(pages) <= at {
		pages = append(pages, false)
	}
	pages[at] = value
	return pages
}

func (n *node) touch(from, to int) {
	for at := from / pageSize; at*pageSize < to; at++ {
		n.fresh, n.stuck = mark(n.fresh, at, true), mark(n.stuck, at, false)
	}
}

func (n *node) write(off int, data []byte) {
	n.touch(off, off+len(data))
	n.resize(max(len(n.content), off+len(data)))
	copy(n.content[off:], data)
}

func (n *node) truncate(size int) {
	n.touch(size, len(n.content))
	n.resize(size)
}

func (n *node) resize(size int) {
	if size <= len(n.content) {
		n.content = slices.Clone(n.content[:size])
		return
	}
	n.content = append(slices.Clone(n.content), make([]byte, size-len(n.content))...)
}

// powerLoss leaves what is durable.
func (m *model) powerLoss() {
	m.ties = nil
	seen := map[*node]bool{}
	m.root.revert(seen)
	m.dirs = slices.DeleteFunc(m.dirs, func(n *node) bool { return !seen[n] })
}

func (n *node) revert(seen map[*node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	if !n.dir {
		n.content = slices.Clone(n.settled)
		n.stuck, n.fresh = nil, nil
		return
	}
	n.now, n.removed = maps.Clone(n.durable), false
	for _, child := range n.now {
		child.revert(seen)
		if child.dir {
			child.above = n
		}
	}
}
