package systemtest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func testKeys(t *testing.T, c *cluster) {
	read := func(node, key string) nodes.Answer {
		return c.must(node, nodes.Op{F: history.OpRead, Key: key, Mode: history.ModeDefault})
	}
	here, there := c.servers[0], c.servers[len(c.servers)-1]
	key := c.key()
	require.False(t, read(here, key).Found, "it is absent")

	first := c.must(here, nodes.Op{F: history.OpWrite, Key: key, Value: "1"})
	got := read(there, key)
	require.True(t, got.Found)
	require.Equal(t, "1", got.Value, "written at one node, read at another")
	second := c.must(there, nodes.Op{F: history.OpWrite, Key: key, Value: "2"})
	got = read(here, key)
	require.Equal(t, "2", got.Value)
	if c.facts.Can(history.ReportsIndexes) {
		require.Positive(t, first.Index)
		require.Greater(t, second.Index, first.Index)
		require.Equal(t, second.Index, got.Index, "a read tells the index of the last write")
	}
	for _, odd := range []string{c.key() + "/with/slashes", c.key() + " with spaces", c.key() + "%2F?&=ü"} {
		c.must(here, nodes.Op{F: history.OpWrite, Key: odd, Value: "odd " + odd})
		require.Equal(t, "odd "+odd, read(there, odd).Value)
	}
	for _, mode := range c.facts.Modes {
		c.eventually(answers, "a read in mode "+string(mode.Name), func() error {
			a, err := c.do(there, nodes.Op{F: history.OpRead, Key: key, Mode: mode.Name})
			if err == nil && a.Value != "2" {
				err = errOld
			}
			return err
		})
	}

	if !c.does(history.OpCAS) {
		return
	}
	at := read(here, key).Index
	set := func(index uint64, value string) (nodes.Answer, error) {
		op := nodes.Op{F: history.OpCAS, Key: key, Index: index, Value: value}
		if index != 0 || !c.facts.Can(history.ReportsIndexes) {
			op.Old = read(here, key).Value
		}
		return c.do(here, op)
	}
	swapped, err := set(at, "3")
	require.NoError(t, err)
	require.Equal(t, "3", read(there, key).Value)
	if c.facts.Can(history.ReportsIndexes) {
		require.Greater(t, swapped.Index, at)
		was, err := set(at, "4")
		require.Equal(t, history.CASMismatch, nodes.CodeOf(err), "the index is no longer that: %v", err)
		require.Equal(t, "3", read(there, key).Value)
		if was.HasCurrent {
			require.Equal(t, nodes.Answer{Value: "3", Found: true, Index: swapped.Index, HasCurrent: true},
				nodes.Answer{Value: was.Value, Found: was.Found, Index: was.Index, HasCurrent: true})
		}
		_, err = set(0, "5")
		require.Equal(t, history.CASMismatch, nodes.CodeOf(err), "it is not absent: %v", err)
	}
	absent := nodes.Op{F: history.OpCAS, Key: c.key(), Value: "new"}
	c.must(here, absent)
	_, err = c.do(here, absent)
	require.Equal(t, history.CASMismatch, nodes.CodeOf(err), "it is there by now: %v", err)
}

// testTrees is about deletions and listings, and what a read tells beyond a value.
func testTrees(t *testing.T, c *cluster) {
	here, there := c.servers[0], c.servers[len(c.servers)-1]
	dir := c.key() + "/"
	list := func(node, prefix string) (keys []string) {
		a := c.must(node, nodes.Op{F: history.OpList, Key: prefix, Mode: history.ModeDefault})
		require.Equal(t, len(a.Entries) > 0, a.Found)
		for _, e := range a.Entries {
			require.LessOrEqual(t, e.ModifyIndex, a.Next)
			require.LessOrEqual(t, e.CreateIndex, e.ModifyIndex)
			keys = append(keys, strings.TrimPrefix(e.Key, dir)+"="+e.Value)
		}
		return keys
	}
	put := func(node, name, value string) nodes.Answer {
		return c.must(node, nodes.Op{F: history.OpWrite, Key: dir + name, Value: value})
	}
	require.Empty(t, list(here, dir))
	put(here, "a", "1")
	put(there, "b/c", "")
	put(here, "b/d e", "2")
	require.Equal(t, []string{"a=1", "b/c=", "b/d e=2"}, list(there, dir), "sorted, whole, the empty value too")
	require.Equal(t, []string{"b/c=", "b/d e=2"}, list(here, dir+"b"))

	gone := c.must(there, nodes.Op{F: history.OpDelete, Key: dir + "a"})
	c.must(here, nodes.Op{F: history.OpDelete, Key: dir + "a"})
	require.False(t, c.must(here, nodes.Op{F: history.OpRead, Key: dir + "a", Mode: history.ModeDefault}).Found)
	again := put(here, "a", "3")
	got := c.must(there, nodes.Op{F: history.OpRead, Key: dir + "a", Mode: history.ModeDefault})
	require.Equal(t, history.Entry{Value: "3", CreateIndex: got.Index, ModifyIndex: got.Index}, got.Entry, "it is new")
	if c.facts.Can(history.ReportsIndexes) {
		require.Greater(t, again.Index, gone.Index)
	}
	_, err := c.do(here, nodes.Op{F: history.OpDeleteCAS, Key: dir + "a", Index: got.Index - 1, Old: "1"})
	require.Equal(t, history.CASMismatch, nodes.CodeOf(err), "%v", err)
	c.must(here, nodes.Op{F: history.OpDeleteCAS, Key: dir + "a", Index: got.Index, Old: "3"})
	require.Equal(t, []string{"b/c=", "b/d e=2"}, list(there, dir))
	c.must(there, nodes.Op{F: history.OpDeleteTree, Key: dir + "b"})
	require.Empty(t, list(here, dir))
}

// testWatches is about reads that wait.
func testWatches(t *testing.T, c *cluster) {
	here, there := c.servers[0], c.servers[len(c.servers)-1]
	key := c.key()
	watch := func(since uint64, wait time.Duration) nodes.Op {
		return nodes.Op{F: history.OpWatch, Key: key, Since: since, Wait: wait, Mode: history.ModeDefault}
	}
	last := c.must(here, watch(0, time.Minute))
	require.False(t, last.Found)
	for _, value := range []string{"1", "2"} {
		since := last.Next
		woken := make(chan error, 1)
		go func() {
			var err error
			for err == nil && last.Value != value { // it may come early
				last, err = c.do(here, watch(last.Next, time.Minute))
			}
			woken <- err
		}()
		time.Sleep(50 * time.Millisecond)
		c.must(there, nodes.Op{F: history.OpWrite, Key: key, Value: value})
		require.NoError(t, <-woken)
		require.Greater(t, last.Next, since)
	}
	began := time.Now()
	require.Equal(t, "2", c.must(here, watch(last.Next, 200*time.Millisecond)).Value)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond, "nothing has changed")
}

const ttl = 2 * time.Second // of sessions

func testLocks(t *testing.T, c *cluster) {
	here, there := c.servers[0], c.servers[len(c.servers)-1]
	create := func(node string) string {
		id := c.must(node, nodes.Op{F: history.OpCreate, TTL: ttl}).Value
		require.NotEmpty(t, id)
		return id
	}
	about := func(f history.Op, session string) nodes.Op { return nodes.Op{F: f, Session: session} }
	on := func(f history.Op, key, session string) nodes.Op {
		return nodes.Op{F: f, Key: key, Value: session, Session: session}
	}
	fails := func(code history.Code, op nodes.Op, why string) {
		t.Helper()
		_, err := c.do(there, op)
		require.Equal(t, code, nodes.CodeOf(err), "%s: %v", why, err)
	}
	key, a, b := c.key(), create(here), create(there)
	require.NotEqual(t, a, b)
	first := c.must(here, on(history.OpAcquire, key, a))
	fails(history.LockHeld, on(history.OpAcquire, key, b), "another holds it")
	fails(history.LockHeld, on(history.OpRelease, key, b), "it is not the holder")
	c.must(there, about(history.OpRenew, a))
	c.must(here, on(history.OpRelease, key, a))
	second := c.must(there, on(history.OpAcquire, key, b))
	if c.facts.Can(history.ReportsIndexes) {
		require.Greater(t, second.Index, first.Index, "a fencing token")
	}
	c.must(here, about(history.OpDestroy, b))
	fails(history.NoSession, about(history.OpRenew, b), "it was destroyed")
	fails(history.NoSession, on(history.OpAcquire, c.key(), b), "it was destroyed")

	held, until := create(here), time.Time{}
	acquired := time.Now()
	c.eventually(answers, "what its holder lost is free", func() error {
		_, err := c.do(here, on(history.OpAcquire, key, held))
		return err
	})
	for until = acquired; nodes.CodeOf(lockError(c, there, on(history.OpAcquire, key, create(there)))) == history.LockHeld; until = time.Now() {
		require.Less(t, time.Since(acquired), 10*ttl, "a session that nobody renews ends")
		time.Sleep(ttl / 10)
	}
	require.Greater(t, until.Sub(acquired), ttl/2, "a session lives its time")
	fails(history.NoSession, about(history.OpRenew, held), "its time is over")
}

// lockError is what became of an operation; nothing but a lock that is held may go wrong.
func lockError(c *cluster, node string, op nodes.Op) error {
	_, err := c.do(node, op)
	if err != nil {
		require.Equal(c.t, history.LockHeld, nodes.CodeOf(err), "%v", err)
	}
	return err
}

func testUnknown(t *testing.T, c *cluster) {
	for _, node := range c.servers {
		_, err := c.do(node, nodes.Op{F: "fly", Key: c.key()})
		require.Equal(t, history.BadRequest, nodes.CodeOf(err), "%v", err)
		require.ErrorAs(t, err, new(*nodes.Error))
	}
}
