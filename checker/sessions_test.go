package checker

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// story is a history of sessions, with all that they can be asked for, in ms. Sessions live for 2000 ms after a renewal.
type story struct{ locks }

func (d *story) make(session, behavior string, delay, from, till int64) *story {
	d.create(session, from, till)
	d.ops[len(d.ops)-1].Output = json.RawMessage(fmt.Sprintf(`{"session":%q,"ttl_ms":2000,"lock_delay_ms":%d,"behavior":%q}`, session, delay, behavior))
	return d
}

// two makes the sessions a, b, which release their keys, and d, which deletes them.
func two() *story {
	return new(story).make("a", "release", 0, 0, 1).make("b", "release", 0, 0, 1).make("d", "delete", 0, 0, 1)
}

func (d *story) ok(f history.Op, session, key string, from, till int64, index uint64) *story {
	d.good(f, session, key, from, till, index)
	return d
}

func (d *story) fails(f history.Op, session, key string, from, till int64, code history.Code) *story {
	d.add(f, session, key, from, till, 0, history.Fail, code)
	return d
}

// lost is an operation whose fate nobody knows.
func (d *story) lost(f history.Op, session, key string, from int64) *story {
	d.add(f, session, key, from, 0, 0, history.Info, history.Timeout)
	d.ops[len(d.ops)-1].Return = history.Pending
	return d
}

func (d *story) renew(session string, from int64) *story {
	return d.ok(history.OpRenew, session, "", from, from+5, 0)
}

// sees is a read; a key with the index 0 is absent.
func (d *story) sees(key string, from, till int64, e history.Entry) *story {
	d.good(history.OpRead, "", key, from, till, e.ModifyIndex)
	op := &d.ops[len(d.ops)-1]
	op.Input, op.Mode, op.Output = nil, history.ModeDefault, history.Null
	if e.ModifyIndex > 0 {
		op.Output, _ = json.Marshal(e)
	}
	return d
}

func (d *story) run() *Run {
	d.fails(history.OpRenew, "over", "", 90_100, 90_101, history.NoSession) // one session was seen to end
	d.make("over", "release", 0, 10, 11)
	d.ops = append([]history.Operation{d.ops[len(d.ops)-1]}, d.ops[:len(d.ops)-1]...)
	return &Run{Settings: Settings{Workload: "lock"}, Ops: d.ops}
}

func keyEntry(value string, create, modify, lock uint64, session string) history.Entry {
	return history.Entry{Value: value, CreateIndex: create, ModifyIndex: modify, LockIndex: lock, Session: session}
}

const (
	acquire, release = history.OpAcquire, history.OpRelease
	destroy, renewal = history.OpDestroy, history.OpRenew
)

func TestSessions(t *testing.T) {
	absent := history.Entry{}
	for _, c := range []struct {
		name string
		ops  *story
		say  string // "": it is valid
	}{
		// Lives.
		{"one that is renewed is there", two().renew("a", 1500).renew("a", 3000), ""},
		{"it is renewed after its destroy", two().ok(destroy, "a", "", 10, 20, 0).renew("a", 30), "session a had ended by 0.020 s, when its destroy was answered, and its later renew, asked for at 0.030 s, succeeded"},
		{"a renewal at once with the destroy may come first", two().ok(destroy, "a", "", 10, 20, 0).renew("a", 20), ""},
		{"a destroy that failed ends nothing", two().fails(destroy, "a", "", 10, 20, history.NotLeader).renew("a", 30), ""},
		{"one of unknown fate may never have come", two().lost(destroy, "a", "", 10).renew("a", 30), ""},
		{"it acquires after an answer that it is gone", two().renew("a", 100).fails(acquire, "a", "k", 5000, 5010, history.NoSession).ok(acquire, "a", "k", 5020, 5030, 7), "had ended by 5.010 s, when its acquire was answered with no-session"},
		{"it is found as a holder after its end", two().ok(acquire, "a", "k", 10, 20, 5).ok(destroy, "a", "", 30, 40, 0).sees("k", 50, 60, keyEntry("a", 5, 5, 1, "a")), "still found it as the holder"},
		{"refused before its time", two().fails(renewal, "a", "", 1000, 1010, history.NoSession), "session a was gone at 1.010 s, when its renew was answered with no-session, though nobody had ended it"},
		{"a renewal makes it good", two().renew("a", 1000).fails(renewal, "a", "", 2500, 2900, history.NoSession), "made it good until 3.000 s"},
		{"refused when it may have run out", two().renew("a", 1000).fails(renewal, "a", "", 2500, 3100, history.NoSession), ""},
		{"refused after somebody asked for its end", two().lost(destroy, "a", "", 10).fails(acquire, "a", "k", 20, 30, history.NoSession), ""},
		{"refused before it is renewed", two().fails(acquire, "a", "k", 2100, 2110, history.NoSession).renew("a", 2120), "had ended by 2.110 s"},

		{"the first word of its end counts", two().ok(destroy, "a", "", 10, 20, 0).renew("a", 50).fails(renewal, "a", "", 100, 110, history.NoSession), "session a had ended by 0.020 s"},
		{"the first refusal counts", two().fails(renewal, "a", "", 100, 110, history.NoSession).fails(renewal, "a", "", 5000, 5010, history.NoSession), "session a was gone at 0.110 s"},

		// Versions by index.
		{"one after the other", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).ok(acquire, "b", "k", 50, 60, 7), ""},
		{"two holders", two().ok(acquire, "a", "k", 10, 20, 5).ok(acquire, "b", "k", 30, 40, 6), "session b acquired it at index 6, and session a held it at index 5"},
		{"two at once, in either order", two().ok(acquire, "a", "k", 10, 50, 6).ok(acquire, "b", "k", 30, 40, 5), "session a acquired it at index 6"},
		{"the holder may have run out", two().ok(acquire, "a", "k", 10, 20, 5).ok(acquire, "b", "k", 2000, 2010, 6), ""},
		{"but it has not", two().ok(acquire, "a", "k", 10, 20, 5).renew("b", 1500).ok(acquire, "b", "k", 2000, 2010, 6).renew("a", 2020), "session b acquired it"},
		{"the holder may have been ended", two().ok(acquire, "a", "k", 10, 20, 5).lost(destroy, "a", "", 25).ok(acquire, "b", "k", 30, 40, 6), ""},
		{"or have released it", two().ok(acquire, "a", "k", 10, 20, 5).lost(release, "a", "k", 25).ok(acquire, "b", "k", 30, 40, 6), ""},
		{"another lock", two().ok(acquire, "a", "k", 10, 20, 5).ok(acquire, "b", "l", 30, 40, 6), ""},
		{"acquired again", two().ok(acquire, "a", "k", 10, 20, 5).ok(acquire, "a", "k", 30, 40, 6), ""},
		{"acquired again under the same index", two().ok(acquire, "a", "k", 10, 20, 5).ok(acquire, "a", "k", 30, 40, 5), ""},
		{"released under the index of the acquire", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 5), "index 5 stands for session a"},
		{"released twice under one index", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).ok(release, "a", "k", 30, 40, 6), "release and release got one index, 6"},
		{"released by another", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "b", "k", 30, 40, 6), "session b released it at index 6, and did not hold it: at index 5 session a held it"},
		{"released by another who may have got it", two().ok(acquire, "a", "k", 10, 20, 5).lost(acquire, "b", "k", 2000).ok(release, "b", "k", 2030, 2040, 6), ""},
		{"not while the holder lives", two().ok(acquire, "a", "k", 10, 20, 5).lost(acquire, "b", "k", 22).ok(release, "b", "k", 30, 40, 6), "session b released it"},
		{"released though nobody held it", two().ok(release, "b", "k", 30, 40, 6), "did not hold it: at index 0 nobody held it"},
		{"released twice", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).ok(release, "a", "k", 50, 60, 7), "at index 6 nobody held it"},

		// Reads.
		{"a read of what was written", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 30, 40, keyEntry("a", 5, 5, 1, "a")), ""},
		{"of another value", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 30, 40, keyEntry("x", 5, 5, 1, "a")), `wrote "a", and a read found "x"`},
		{"of another holder", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 30, 40, keyEntry("a", 5, 5, 1, "b")), "index 5 stands for session a in the answer to acquire, and for session b in that to read"},
		{"of a holder who never asked", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).sees("k", 50, 60, keyEntry("b", 5, 7, 2, "b")), "held by session b at index 7, at which no acquire"},
		{"of a holder who may have got it", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).lost(acquire, "b", "k", 45).sees("k", 50, 60, keyEntry("b", 5, 7, 2, "b")), ""},
		{"of a free lock that a session holds", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 50, 60, keyEntry("a", 5, 7, 1, "")), "found it free at index 7, and nobody can have made that of index 5, when session a held it"},
		{"of a free lock after the end of its holder", two().ok(acquire, "a", "k", 10, 20, 5).ok(destroy, "a", "", 30, 40, 0).sees("k", 50, 60, keyEntry("a", 5, 7, 1, "")), ""},
		{"of a free lock at an index that nobody made", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).sees("k", 50, 60, keyEntry("a", 5, 9, 1, "")), "nobody can have made that of index 6, when nobody held it"},
		{"a lock index that falls", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 25, 28, keyEntry("a", 5, 5, 2, "a")).ok(release, "a", "k", 30, 40, 6).sees("k", 50, 60, keyEntry("a", 5, 6, 1, "")), "the lock index was 2 at index 5"},
		{"a lock index that stays", two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 25, 28, keyEntry("a", 5, 5, 1, "a")).ok(release, "a", "k", 30, 40, 6).ok(acquire, "b", "k", 41, 42, 7).
			sees("k", 50, 60, keyEntry("b", 5, 7, 1, "b")), "and 1 at index 7 under session b"},
		{"a lock index that begins anew with its key", two().ok(acquire, "d", "k", 10, 20, 5).sees("k", 25, 28, keyEntry("d", 5, 5, 1, "d")).ok(destroy, "d", "", 30, 40, 0).ok(acquire, "b", "k", 41, 42, 7).
			sees("k", 50, 60, keyEntry("b", 7, 7, 1, "b")), ""},

		// Keys that are deleted, and not.
		{"a key that is deleted by its end", two().ok(acquire, "d", "k", 10, 20, 5).ok(destroy, "d", "", 30, 40, 0).sees("k", 50, 60, absent), ""},
		{"a key that is deleted by an end that releases", two().ok(acquire, "a", "k", 10, 20, 5).ok(destroy, "a", "", 30, 40, 0).sees("k", 50, 60, absent), "at index 5 it was there; no session that deletes"},
		{"a key that is deleted under its holder", two().ok(acquire, "d", "k", 10, 20, 5).sees("k", 50, 60, absent), "found no key, and session d held it at index 5"},
		{"by another who may have held it", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).lost(acquire, "d", "k", 45).lost(destroy, "d", "", 48).sees("k", 50, 60, absent), ""},
		{"not by one who releases its keys", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).lost(acquire, "b", "k", 45).lost(destroy, "b", "", 48).sees("k", 50, 60, absent), "no session that deletes"},
		{"nor by one who asked for it later", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).lost(destroy, "d", "", 48).sees("k", 50, 60, absent).lost(acquire, "d", "k", 70), "no session that deletes"},
		{"or who got it meanwhile", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 45, 55, 6).ok(acquire, "d", "k", 55, 58, 7).lost(destroy, "d", "", 58).sees("k", 50, 60, absent), ""},
		{"or who got it too late", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 45, 55, 6).ok(acquire, "d", "k", 65, 68, 7).lost(destroy, "d", "", 69).sees("k", 50, 60, absent), "no session that deletes"},
		{"a key that was made anew", two().ok(acquire, "d", "k", 10, 20, 5).ok(destroy, "d", "", 30, 40, 0).ok(acquire, "a", "k", 50, 60, 7).sees("k", 70, 80, keyEntry("a", 7, 7, 1, "a")), ""},
		{"a key that was made anew after an end that releases", two().ok(acquire, "b", "k", 10, 20, 5).ok(destroy, "b", "", 30, 40, 0).ok(acquire, "a", "k", 50, 60, 7).sees("k", 70, 80, keyEntry("a", 7, 7, 1, "a")), "the key of index 5 was deleted: at index 7"},
		{"a key that was to be deleted", two().ok(acquire, "d", "k", 10, 20, 5).ok(destroy, "d", "", 30, 40, 0).sees("k", 50, 60, keyEntry("d", 5, 6, 1, "")), "never released it and deletes its keys"},
		{"and is seen later", two().ok(acquire, "d", "k", 10, 20, 5).ok(destroy, "d", "", 30, 40, 0).ok(acquire, "a", "k", 50, 60, 7).sees("k", 70, 80, keyEntry("a", 5, 7, 2, "a")), "never released it and deletes its keys"},
		{"a key that was released before the end", two().ok(acquire, "d", "k", 10, 20, 5).ok(release, "d", "k", 22, 24, 6).ok(destroy, "d", "", 30, 40, 0).sees("k", 50, 60, keyEntry("d", 5, 6, 1, "")), ""},
		{"or perhaps", two().ok(acquire, "d", "k", 10, 20, 5).lost(release, "d", "k", 22).ok(destroy, "d", "", 30, 40, 0).sees("k", 50, 60, keyEntry("d", 5, 6, 1, "")), ""},

		// Refusals.
		{"refused, and another holds it", two().ok(acquire, "a", "k", 10, 20, 5).fails(acquire, "b", "k", 30, 40, history.LockHeld), ""},
		{"refused, and nobody ever asked", two().fails(acquire, "b", "k", 30, 40, history.LockHeld), "nobody else had ever asked for it"},
		{"refused, and only it holds it", two().ok(acquire, "b", "k", 10, 20, 5).fails(acquire, "b", "k", 30, 40, history.LockHeld), "nobody else had ever asked for it"},
		{"refused after a release", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 22, 25, 6).fails(acquire, "b", "k", 30, 40, history.LockHeld), "the last who can have was session a, until 0.025 s"},
		{"refused while it is released", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 22, 35, 6).fails(acquire, "b", "k", 30, 40, history.LockHeld), ""},
		{"refused after an end", two().ok(acquire, "a", "k", 10, 20, 5).ok(destroy, "a", "", 22, 25, 0).fails(acquire, "b", "k", 30, 40, history.LockHeld), "the last who can have was session a"},
		{"refused by who may have run out", two().ok(acquire, "a", "k", 10, 20, 5).fails(acquire, "b", "k", 5000, 5010, history.LockHeld), ""},
		{"refused by an acquire that may have come", two().lost(acquire, "a", "k", 10).fails(acquire, "b", "k", 30, 40, history.LockHeld), ""},
		{"refused by an acquire that was not asked for yet", two().fails(acquire, "b", "k", 30, 40, history.LockHeld).ok(acquire, "a", "k", 41, 50, 5), "nobody else had ever asked"},
		{"refused in a lock delay", two().make("l", "release", 1000, 0, 1).ok(acquire, "l", "k", 10, 20, 5).ok(destroy, "l", "", 22, 25, 0).fails(acquire, "b", "k", 30, 40, history.LockHeld), ""},
		{"in that of its own", two().make("l", "release", 1000, 0, 1).ok(acquire, "l", "k", 10, 20, 5).ok(destroy, "l", "", 22, 25, 0).fails(acquire, "l", "k", 30, 40, history.LockHeld), ""},
		{"but a release has no delay", two().make("l", "release", 1000, 0, 1).ok(acquire, "l", "k", 10, 20, 5).ok(release, "l", "k", 22, 25, 6).fails(acquire, "b", "k", 30, 40, history.LockHeld), "the last who can have was session l"},
		{"a second acquire outlasts the release", two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 22, 25, 6).ok(acquire, "a", "k", 26, 28, 7).fails(acquire, "b", "k", 30, 40, history.LockHeld), ""},
		{"the holder may not release", two().ok(acquire, "a", "k", 10, 20, 5).fails(release, "a", "k", 30, 40, history.LockHeld), "session a was refused to release it"},
		{"it may have released it before", two().ok(acquire, "a", "k", 10, 20, 5).lost(release, "a", "k", 22).fails(release, "a", "k", 30, 40, history.LockHeld), ""},
		{"it may have run out", two().ok(acquire, "a", "k", 10, 20, 5).fails(release, "a", "k", 30, 2000, history.LockHeld), ""},
		{"it may not have got it yet", two().ok(acquire, "a", "k", 10, 35, 5).fails(release, "a", "k", 30, 40, history.LockHeld), ""},
		{"one who does not hold it may not release", two().ok(acquire, "a", "k", 10, 20, 5).fails(release, "b", "k", 30, 40, history.LockHeld), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkSessions(t.Context(), c.ops.run())
			if c.say == "" {
				require.Equal(t, Valid, r.Verdict, r.Summary)
				return
			}
			require.Equal(t, Invalid, r.Verdict, r.Summary)
			require.Contains(t, fmt.Sprint(r.Reasons), c.say)
			require.NotEmpty(t, r.Counterexamples)
			require.NotEmpty(t, r.Counterexamples[0].Ops)
		})
	}
}

// observed adds what servers say of themselves, every 250 ms: the first leads, in the term.
func observed(run *Run, term func(ms int64) uint64, till int64) *Run {
	for at := int64(0); at < till; at += 250 {
		for i, node := range []string{"s1", "s2", "s3"} {
			o := history.Observation{BootID: node, State: history.Follower, Term: term(at)}
			if i == 0 {
				o.State = history.Leader
			}
			text, err := json.Marshal(o)
			if err != nil {
				panic(err)
			}
			run.Events = append(run.Events, history.Event{Time: at * 1e6, Process: history.Observer, F: history.FObserve, Node: node, Value: text})
		}
	}
	return run
}

func TestLockDelays(t *testing.T) {
	steady := func(int64) uint64 { return 3 }
	held := func() *story {
		return new(story).make("l", "release", 1000, 500, 501).make("b", "release", 0, 500, 501).ok(acquire, "l", "k", 600, 610, 5)
	}
	for _, c := range []struct {
		name string
		ops  *story
		term func(int64) uint64
		want Verdict
	}{
		{"kept", held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 1700, 1705, 7), steady, Valid},
		{"ignored", held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 1600, 1605, 7), steady, Invalid},
		{"ignored after an end by time", held().fails(renewal, "l", "", 2600, 2605, history.NoSession).renew("b", 2000).ok(acquire, "b", "k", 3000, 3005, 7), steady, Invalid},
		{"over", held().fails(renewal, "l", "", 2600, 2605, history.NoSession).renew("b", 2000).ok(acquire, "b", "k", 3500, 3505, 7), steady, Valid},
		{"asked for before the end was told", held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 710, 720, 7), steady, Valid},
		{"released, not ended", held().ok(release, "l", "k", 650, 660, 6).ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 750, 760, 7), steady, Valid},
		{"perhaps released", held().lost(release, "l", "k", 650).ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 750, 760, 7), steady, Valid},
		{"another leader", held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 1600, 1605, 7), func(at int64) uint64 { return uint64(3 + at/1500) }, Valid},
		{"nobody seen to lead before", held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 1600, 1605, 7), func(at int64) uint64 { return uint64(min(3, at/250)) }, Valid},
		{"no delay", two().ok(acquire, "a", "k", 10, 20, 5).ok(destroy, "a", "", 700, 710, 0).ok(acquire, "b", "k", 720, 730, 7), steady, Valid},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkSessions(t.Context(), observed(c.ops.run(), c.term, 8000))
			require.Equal(t, c.want, r.Verdict, r.Summary)
			if c.want == Invalid {
				require.Contains(t, r.Summary, "in the lock delay of session l, which is 1000 ms")
			}
		})
	}
	ignored := func() *Run {
		return observed(held().ok(destroy, "l", "", 700, 710, 0).ok(acquire, "b", "k", 1600, 1605, 7).run(), steady, 8000)
	}
	t.Run("nobody observed", func(t *testing.T) {
		run := ignored()
		run.Events = nil
		require.Equal(t, Valid, checkSessions(t.Context(), run).Verdict)
	})
	t.Run("a server is silent afterwards", func(t *testing.T) {
		run := ignored()
		run.Events = run.Events[:len(run.Events)-3*20]
		require.Equal(t, Valid, checkSessions(t.Context(), run).Verdict)
	})
	t.Run("a disk was emptied", func(t *testing.T) {
		run := ignored()
		run.Faults = []history.Fault{{Name: "replace", Wipes: true, Start: 1e9, Healed: 2e9}}
		require.Equal(t, Valid, checkSessions(t.Context(), run).Verdict)
	})
	t.Run("a clock ran ahead", func(t *testing.T) {
		run := ignored()
		clocks := history.FaultEvent{Stage: history.FaultStart, Done: true, Evidence: &faults.Evidence{Part: faults.Conditions{Clocks: map[string]faults.Clock{"s1": {Monotonic: 1}}}}}
		text, err := json.Marshal(clocks)
		require.NoError(t, err)
		run.Events = append(run.Events, history.Event{Process: history.Nemesis, F: "clock", Value: text})
		require.Equal(t, Valid, checkSessions(t.Context(), run).Verdict)
		clocks.Evidence.Part.Clocks["s1"] = faults.Clock{Offset: time.Hour}
		run.Events[len(run.Events)-1].Value, err = json.Marshal(clocks)
		require.NoError(t, err)
		require.Equal(t, Invalid, checkSessions(t.Context(), run).Verdict, "the wall clock is not asked")
	})
}

// A session that nobody renews is gone after twice its TTL and RecoverWithin, which is 3 s here, and so are its locks.
func TestSessionsRunOut(t *testing.T) {
	steady := func(int64) uint64 { return 3 }
	for _, c := range []struct {
		name   string
		ops    *story
		term   func(int64) uint64
		within time.Duration
		faults []history.Fault
		say    string
	}{
		{"found too late", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second, nil, "must have run out"},
		{"a lock that is never free", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).fails(acquire, "b", "k", 8000, 8010, history.LockHeld), steady, 3 * time.Second, nil, "the last who can have was session a, until 7.605 s"},
		{"in time", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 7600, 7610, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second, nil, ""},
		{"perhaps renewed", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).lost(renewal, "a", "", 800).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second, nil, ""},
		{"renewed by a request that failed", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).fails(renewal, "a", "", 1100, 1200, history.NotLeader).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second, nil, ""},
		{"a new leader gives it more time", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), func(at int64) uint64 { return uint64(3 + at/4000) }, 3 * time.Second, nil, ""},
		{"no bound", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 0, nil, ""},
		{"a late heal", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second,
			[]history.Fault{{Start: 1e9, Heal: 19e8, Healed: 2e9, HealVerified: true}}, ""},
		{"a heal that was never verified", two().renew("a", 600).ok(acquire, "a", "k", 700, 710, 5).sees("k", 8000, 8010, keyEntry("a", 5, 5, 1, "a")), steady, 3 * time.Second,
			[]history.Fault{{Start: 5e7, Heal: 6e7, Healed: 1e8}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := observed(c.ops.run(), c.term, 15_000)
			run.Settings.RecoverWithin, run.Faults = c.within, c.faults
			if len(c.faults) > 0 {
				run.Baseline = &history.FaultEvent{Verified: true}
			}
			r := checkSessions(t.Context(), run)
			if c.say == "" {
				require.Equal(t, Valid, r.Verdict, r.Summary)
				return
			}
			require.Equal(t, Invalid, r.Verdict, r.Summary)
			require.Contains(t, fmt.Sprint(r.Reasons), c.say)
		})
	}
}

func TestSessionsThatCannotBeJudged(t *testing.T) {
	check := func(d *story) Result { return checkSessions(t.Context(), d.run()) }
	require.Equal(t, Unknown, checkSessions(t.Context(), &Run{}).Verdict)
	r := check(new(story).ok(acquire, "nobody", "k", 10, 20, 5))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "nobody made")
	r = check(two().ok(acquire, "a", "k", 10, 20, 5).sees("k", 30, 40, keyEntry("x", 5, 8, 2, "stranger")).ok(acquire, "b", "k", 50, 60, 9))
	require.Equal(t, Unknown, r.Verdict, "somebody else is at work")
	require.Contains(t, r.Summary, "somebody else's session stranger")
	r = check(two().make("a", "release", 0, 100, 101))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "which was there")

	stale := two().ok(acquire, "a", "k", 10, 20, 5).ok(release, "a", "k", 30, 40, 6).sees("k", 50, 60, keyEntry("a", 5, 5, 1, "b"))
	stale.ops[len(stale.ops)-1].Mode = history.ModeStale
	require.Equal(t, Valid, check(stale).Verdict, "stale reads promise nothing")

	old := new(locks).create("a", 0, 1)
	verdict, results := Judge(t.Context(), &Run{Ops: old.ops}, []Checker{Sessions()})
	require.Equal(t, NotApplicable, results[0].Verdict)
	require.Equal(t, Unknown, verdict)
	_, results = Judge(t.Context(), two().run(), []Checker{Sessions()})
	require.Equal(t, Valid, results[0].Verdict)
}

// 100,000 operations on one lock.
func BenchmarkSessions(b *testing.B) {
	d := two()
	index := uint64(5)
	for i := range int64(20_000) {
		at := 10 + 20*i
		id := strconv.FormatInt(i, 10)
		d.make(id, "release", 0, at, at+1).ok(acquire, id, "k", at+2, at+3, index).sees("k", at+4, at+5, keyEntry(id, 5, index, uint64(i+1), id)).
			ok(release, id, "k", at+6, at+7, index+1).ok(destroy, id, "", at+8, at+9, 0)
		index += 2
	}
	run := d.run()
	b.ReportAllocs()
	for b.Loop() {
		if r := checkSessions(b.Context(), run); r.Verdict != Valid {
			b.Fatal(r.Summary)
		}
	}
}
