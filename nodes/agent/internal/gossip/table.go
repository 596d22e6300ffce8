package gossip

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
)

// Status is the state of a member.
type Status string

const (
	Alive  Status = "alive"
	Failed Status = "failed" // stopped answering
	Left   Status = "left"   // went on purpose
)

// Member is one node of the pool.
type Member struct {
	Name   string
	Addr   netip.AddrPort
	Status Status
	Tags   Tags
}

// table remembers every member, also those that memberlist has forgotten.
type table struct {
	log *slog.Logger

	mu     sync.Mutex
	byName map[string]Member
	change chan struct{}
}

func newTable(log *slog.Logger) *table {
	return &table{log: log, byName: map[string]Member{}, change: make(chan struct{})}
}

func (t *table) members() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Member, 0, len(t.byName))
	for _, m := range t.byName {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (t *table) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.change
}

// NotifyJoin is for memberlist.
func (t *table) NotifyJoin(n *memberlist.Node) { t.set(n, Alive) }

// NotifyUpdate is for memberlist.
func (t *table) NotifyUpdate(n *memberlist.Node) { t.set(n, Alive) }

// NotifyLeave is for memberlist, which calls it for the dead as well.
func (t *table) NotifyLeave(n *memberlist.Node) {
	// Whether it said so: memberlist 0.7 keeps that in a state that it does not pass on.
	if tags, err := ParseTags(n.Meta); err == nil && tags.Leaving {
		t.set(n, Left)
		return
	}
	t.set(n, Failed)
}

func (t *table) set(n *memberlist.Node, status Status) {
	addr, ok := netip.AddrFromSlice(n.Addr)
	tags, err := ParseTags(n.Meta)
	if err != nil || !ok {
		t.log.Warn("gossip: a member that is no agent", "name", n.Name, "addr", n.Addr, "error", err)
		return
	}
	m := Member{Name: n.Name, Addr: netip.AddrPortFrom(addr.Unmap(), n.Port), Status: status, Tags: tags}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byName[n.Name] == m {
		return
	}
	t.byName[n.Name] = m
	close(t.change)
	t.change = make(chan struct{})
	t.log.Info("gossip: member", "name", m.Name, "addr", m.Addr, "status", m.Status)
}

// logWriter takes memberlist's lines, "2026/01/02 03:04:05 [WARN] memberlist: …", into slog.
type logWriter struct{ log *slog.Logger }

var levels = []struct {
	mark  []byte
	level slog.Level
}{
	{[]byte("[ERR] "), slog.LevelError},
	{[]byte("[WARN] "), slog.LevelWarn},
	{[]byte("[INFO] "), slog.LevelInfo},
	{[]byte("[DEBUG] "), slog.LevelDebug},
}

func (w logWriter) Write(line []byte) (int, error) {
	for _, l := range levels {
		if _, text, found := bytes.Cut(line, l.mark); found {
			w.log.Log(context.Background(), l.level, string(bytes.TrimSpace(text)))
			return len(line), nil
		}
	}
	w.log.Debug(string(bytes.TrimSpace(line)))
	return len(line), nil
}
