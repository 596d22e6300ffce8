package workloads

import (
	"maps"
	"sync"
	"time"

	"faultline/workloads/history"
)

// Counts are completed operations.
type Counts struct {
	OK, Fail, Info uint64
	Mismatch       uint64 // of Fail: compares that failed, which are no errors
}

// Stats is what a Runner has seen so far, bursts and final reads included.
type Stats struct {
	Counts
	ByF    map[history.Op]Counts
	ByWay  map[Way]Served
	LastOK time.Time // when the latest operation succeeded; zero if none has
	Unread int       // keys that Final did not manage to read
}

// Way is who was asked, and for which datacenter's data; empty means its own.
type Way struct{ Node, DC string }

// Served is when clients were last served on a way: it was done as asked, or refused as it should.
type Served struct {
	Read, Change time.Time // zero: never
}

func (c *Counts) add(a Outcome) {
	switch a.Type {
	case history.OK:
		c.OK++
	case history.Fail:
		c.Fail++
		if a.Error == history.CASMismatch {
			c.Mismatch++
		}
	default:
		c.Info++
	}
}

// tally counts as operations complete.
type tally struct {
	mu    sync.Mutex
	stats Stats
	byF   map[history.Op]*Counts
	ways  map[Way]Served
}

func (t *tally) add(way Way, f history.Op, a Outcome) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Type == history.OK || a.Error.Served() {
		at := t.ways[way]
		if f.Reads() {
			at.Read = now
		} else {
			at.Change = now
		}
		t.ways[way] = at
	}
	t.stats.add(a)
	c := t.byF[f]
	if c == nil {
		c = &Counts{}
		t.byF[f] = c
	}
	c.add(a)
	if a.Type == history.OK && now.After(t.stats.LastOK) {
		t.stats.LastOK = now
	}
}

// toRead begins the count of keys that final reads have not read.
func (t *tally) toRead(keys int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Unread = keys
}

// read counts a key as read, and returns how many are left.
func (t *tally) read() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Unread--
	return t.stats.Unread
}

func (t *tally) snapshot() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.ByWay = maps.Clone(t.ways)
	s.ByF = make(map[history.Op]Counts, len(t.byF))
	for f, c := range t.byF {
		s.ByF[f] = *c
	}
	return s
}
