//go:build linux

package disk

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// model is the two images of a file system in memory: what processes see, and what a power loss
// leaves. It copies whole directories and files where the disk keeps differences. Paths are
// relative, "" is the root; directories hold nodes, so that hard links and moved directories
// are one node.
type model struct {
	root *node
	ties []map[*node]bool // directories that become durable together
}

type node struct {
	dir              bool
	now, durable     map[string]*node // of a directory
	content, settled []byte           // of a file: what is there, and what is durable
	stuck            []bool           // by page of the content: a failed sync dropped it
	fresh            []bool           // by page: written since the last sync
	above            *node
}

func newDir() *node {
	return &node{dir: true, now: map[string]*node{}, durable: map[string]*node{}}
}

func newModel() *model { return &model{root: newDir()} }

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
	all := map[*node]bool{dir: true}
	m.join(all, dir)
	for d := range all {
		d.durable = maps.Clone(d.now)
	}
}

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
	n.now = maps.Clone(n.durable)
	for _, child := range n.now {
		child.revert(seen)
		if child.dir {
			child.above = n
		}
	}
}
