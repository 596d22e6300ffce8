package checker

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// locks draws a history of sessions, in ms; every session lives for 2000 ms after a renewal.
type locks struct{ ops []history.Operation }

func (l *locks) add(f history.Op, session, key string, from, till int64, token uint64, typ history.Type, err history.Code) *locks {
	op := history.Operation{ID: int64(len(l.ops)), Process: history.Process(len(l.ops)), F: f, Key: key, Invoke: from * 1e6, Return: till * 1e6,
		Type: typ, Error: err, ModifyIndex: token, Input: json.RawMessage(strconv.Quote(session))}
	if f == history.OpCreate {
		op.Output = json.RawMessage(fmt.Sprintf(`{"session":%q,"ttl_ms":2000}`, session))
	}
	l.ops = append(l.ops, op)
	return l
}

func (l *locks) good(f history.Op, session, key string, from, till int64, token uint64) *locks {
	return l.add(f, session, key, from, till, token, history.OK, "")
}

func (l *locks) create(session string, from, till int64) *locks {
	return l.good(history.OpCreate, session, "", from, till, 0)
}

// judge adds a quiet lock with enough holds, so that the load is enough.
func (l *locks) judge(t *testing.T) Result {
	t.Helper()
	for i := range int64(minHolds) {
		id := fmt.Sprint("quiet", i)
		at := 100_000 + i*100
		l.create(id, at, at+1).good(history.OpAcquire, id, "quiet", at+10, at+11, uint64(1000+2*i)).good(history.OpRelease, id, "quiet", at+20, at+21, uint64(1001+2*i))
	}
	l.add(history.OpAcquire, "quiet0", "quiet", 102_000, 102_001, 0, history.Fail, history.LockHeld)
	return checkMutex(t.Context(), &Run{Settings: Settings{Workload: "lock"}, Ops: l.ops})
}

func TestMutex(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  *locks
		want Verdict
		say  string
	}{
		{"one after the other", new(locks).create("a", 0, 1).create("b", 0, 1).
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpRelease, "a", "k", 500, 510, 6).good(history.OpAcquire, "b", "k", 505, 520, 7), Valid, "one at a time"},
		{"both at once", new(locks).create("a", 0, 1).create("b", 0, 1).
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "b", "k", 30, 40, 6), Invalid, "k had two holders from 0.040 s to 2.000 s"},
		{"the first has run out", new(locks).create("a", 0, 1).create("b", 1900, 1901).
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "b", "k", 1990, 2000, 6), Valid, ""},
		{"the first was renewed", new(locks).create("a", 0, 1).create("b", 1900, 1901).good(history.OpAcquire, "a", "k", 10, 20, 5).
			good(history.OpRenew, "a", "", 1000, 1010, 0).good(history.OpAcquire, "b", "k", 2100, 2110, 6), Invalid, "session a since 0.020 s, renewed at 1.000 s and so good until 3.000 s"},
		{"a renewal that failed promises nothing", new(locks).create("a", 0, 1).create("b", 1900, 1901).good(history.OpAcquire, "a", "k", 10, 20, 5).
			add(history.OpRenew, "a", "", 1000, 1010, 0, history.Info, "timeout").good(history.OpAcquire, "b", "k", 2100, 2110, 6), Valid, ""},
		{"a late renewal that succeeds shows that it was never lost", new(locks).create("a", 0, 1).create("b", 1900, 1901).good(history.OpAcquire, "a", "k", 10, 20, 5).
			good(history.OpAcquire, "b", "k", 3000, 3010, 6).good(history.OpRenew, "a", "", 3100, 3110, 0), Invalid, "two holders from 3.010 s"},
		{"one that is being released is nobody's", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			add(history.OpRelease, "a", "k", 30, 5000, 0, history.Info, "timeout").good(history.OpAcquire, "b", "k", 35, 40, 6), Valid, ""},
		{"a session that is being ended holds nothing", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			good(history.OpDestroy, "a", "", 30, 50, 0).good(history.OpAcquire, "b", "k", 35, 40, 6), Valid, ""},
		{"an acquire of unknown fate holds nothing", new(locks).create("a", 0, 1).create("b", 0, 1).
			add(history.OpAcquire, "a", "k", 10, 20, 0, history.Info, "timeout").good(history.OpAcquire, "b", "k", 30, 40, 6), Valid, ""},
		{"to acquire again is to go on", new(locks).create("a", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "a", "k", 30, 40, 6), Valid, ""},
		{"another lock", new(locks).create("a", 0, 1).create("b", 0, 1).
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "b", "l", 30, 40, 6), Valid, ""},
		{"a token that falls", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 9).
			good(history.OpRelease, "a", "k", 30, 40, 10).good(history.OpAcquire, "b", "k", 50, 60, 8), Invalid, "acquire was asked for at 0.050 s and got the token 8, though release had got 10"},
		{"a token that is given twice", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 9).
			good(history.OpRelease, "a", "k", 30, 40, 10).good(history.OpAcquire, "b", "k", 50, 60, 10), Invalid, "token 10"},
		{"a release that certainly failed ends nothing", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			add(history.OpRelease, "a", "k", 25, 28, 0, history.Fail, history.NotLeader).good(history.OpAcquire, "b", "k", 30, 40, 6), Invalid, "two holders from 0.040 s"},
		{"nor does a destroy that did", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			add(history.OpDestroy, "a", "", 25, 28, 0, history.Fail, history.NotLeader).good(history.OpAcquire, "b", "k", 30, 40, 6), Invalid, "two holders from 0.040 s"},
		{"a release from before may come yet", new(locks).create("a", 0, 1).create("b", 0, 1).add(history.OpRelease, "a", "k", 5, 9_000_000, 0, history.Info, "timeout").
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "b", "k", 30, 40, 6), Valid, ""},
		{"one that is over does not", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpRelease, "a", "k", 5, 8, 4).
			good(history.OpAcquire, "a", "k", 10, 20, 5).good(history.OpAcquire, "b", "k", 30, 40, 6), Invalid, "two holders"},
		{"one token for two at once", new(locks).create("a", 0, 1).create("b", 0, 1).good(history.OpAcquire, "a", "k", 10, 50, 5).
			good(history.OpAcquire, "b", "k", 20, 60, 5).good(history.OpRelease, "a", "k", 51, 70, 7), Invalid, "got the token 5, though acquire had got 5"},
		{"a holder acquires again under its token", new(locks).create("a", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			good(history.OpAcquire, "a", "k", 15, 40, 5).good(history.OpAcquire, "a", "k", 50, 60, 5), Valid, ""},
		{"but does not release under it", new(locks).create("a", 0, 1).good(history.OpAcquire, "a", "k", 10, 20, 5).
			good(history.OpRelease, "a", "k", 30, 40, 5), Invalid, "release was asked for at 0.030 s and got the token 5"},
		{"a session that nobody made", new(locks).good(history.OpAcquire, "a", "k", 10, 20, 5), Unknown, "nobody made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.ops.judge(t)
			require.Equal(t, c.want, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.say)
			if c.want == Invalid {
				require.NotEmpty(t, r.Counterexamples)
				require.GreaterOrEqual(t, len(r.Counterexamples[0].Ops), 2)
			}
		})
	}
}

func TestMutexNeedsContention(t *testing.T) {
	require.Equal(t, Unknown, checkMutex(t.Context(), &Run{}).Verdict)
	l := new(locks).create("a", 0, 1)
	for i := range int64(minHolds) {
		l.good(history.OpAcquire, "a", fmt.Sprint("k", i), 10+i, 20+i, uint64(i+1))
	}
	r := checkMutex(t.Context(), &Run{Ops: l.ops})
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "nobody ever asked")
}

// service plays clients against a lock service in virtual time. Its sessions end, at the
// earliest, early ms before they may.
func service(seed uint64, early int64) []history.Operation {
	random := rand.New(rand.NewPCG(seed, 0))
	type holder struct {
		id   string
		ends int64 // at the service
	}
	var l locks
	now, token := int64(0), uint64(0)
	held := map[string]*holder{}
	sessions := map[string]*holder{}
	for made := 0; now < 60_000; {
		now += random.Int64N(80)
		before, after := now, now+random.Int64N(300) // when it was sent, and when answered
		at := before + random.Int64N(after-before+1)
		alive := func(h *holder) bool { return h != nil && h.ends > at }
		if len(sessions) < 4 || random.IntN(20) == 0 {
			made++
			h := &holder{fmt.Sprint("s", made), at + 2000 + random.Int64N(2000) - early}
			sessions[h.id] = h
			l.create(h.id, before, after)
			now = after
			continue
		}
		ids := slices.Sorted(maps.Keys(sessions))
		h := sessions[ids[random.IntN(len(ids))]]
		key := fmt.Sprint("k", random.IntN(2))
		switch draw := random.IntN(10); {
		case !alive(h):
			delete(sessions, h.id)
		case draw < 5:
			h.ends = at + 2000 + random.Int64N(2000) - early
			l.good(history.OpRenew, h.id, "", before, after, 0)
		case draw < 8 && (!alive(held[key]) || held[key] == h):
			token++
			held[key] = h
			l.good(history.OpAcquire, h.id, key, before, after, token)
		case draw < 8:
			l.add(history.OpAcquire, h.id, key, before, after, 0, history.Fail, history.LockHeld)
		case held[key] == h:
			token++
			delete(held, key)
			l.good(history.OpRelease, h.id, key, before, after, token)
		}
		now = after
	}
	return l.ops
}

// A service that keeps its promise is never blamed, and one that does not is found out.
func TestMutexOnRandomHistories(t *testing.T) {
	seeds, caught := seedsOf(t, 300, 30), uint64(0)
	for seed := range seeds {
		r := checkMutex(t.Context(), &Run{Ops: service(seed, 0)})
		require.NotEqual(t, Invalid, r.Verdict, "seed %d: %s", seed, r.Summary)
		if checkMutex(t.Context(), &Run{Ops: service(seed, 1900)}).Verdict == Invalid {
			caught++
		}
	}
	require.Greater(t, caught, seeds/3)
}
