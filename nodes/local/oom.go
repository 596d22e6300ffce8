//go:build linux

package local

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// oomKills counts the processes that the kernel has ended for want of memory: those of this
// process's cgroup and what is below it, in which the nodes are too (memory.events of cgroup v2,
// Documentation/admin-guide/cgroup-v2.rst), or, where that is not there, those of the machine
// (/proc/vmstat). A node that died by SIGKILL while the count rose is taken for one of them.
type oomKills struct {
	root fs.FS
	file string // empty: nothing counts them here
}

func newOOMKills(root fs.FS) oomKills {
	for _, file := range []string{ownMemoryEvents(root), "proc/vmstat"} {
		o := oomKills{root, file}
		if _, known := o.count(); known {
			return o
		}
	}
	return oomKills{}
}

// ownMemoryEvents is the file of this process's cgroup, which need not be there.
func ownMemoryEvents(root fs.FS) string {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(own)) {
		if dir, v2 := strings.CutPrefix(strings.TrimSpace(line), "0::"); v2 {
			return path.Join("sys/fs/cgroup", dir, "memory.events")
		}
	}
	return ""
}

// count is how many there were so far. Where it is not known, it is 0.
func (o oomKills) count() (kills uint64, known bool) {
	if o.file == "" {
		return 0, false
	}
	text, err := fs.ReadFile(o.root, o.file)
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if n, err := fmt.Sscanf(lines.Text(), "oom_kill %d", &kills); n == 1 && err == nil {
			return kills, true
		}
	}
	return 0, false
}
