package checker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func TestLinearizable(t *testing.T) {
	for _, c := range []struct {
		name, picture string
		verdict       Verdict
		why           string // how the counterexample's words begin
		ops           int    // operations in the counterexample
	}{
		{"nothing but a read of an absent key", `
			p0 read nil    |--|`, Valid, "", 0},
		{"a write and a read", `
			p0 write 1     |--|
			p1 read 1           |--|`, Valid, "", 0},
		{"a read during a write may find either", `
			p0 write 1     |--------|
			p1 read 1        |--|
			p2 read nil       |--|`, Valid, "", 0},
		{"a read that touches the end of a write may still find the old value", `
			p0 write 1     |--|
			p1 read nil       |--|`, Valid, "", 0},
		{"new and then old again, both during the write", `
			p0 write 1     |------------|
			p1 read 1        |--|
			p2 read nil           |--|`, Invalid,
			"the default read by process 2 at n2 began 2.0 ms after the default read by process 1 at n1 had returned 1, and yet it found the key absent", 3},
		{"a stale read", `
			p0 write 3     |--|
			p1 write 5          |--|
			p2 read 3                |--|
			p3 read 5                |--|`, Invalid,
			"the default read by process 2 at n2 began 2.0 ms after the write of 5 by process 1 at n1 had been acknowledged, and yet it returned the older value 3: the write of 3 by process 0 at n0 had been acknowledged 2.0 ms before the write of 5 by process 1 at n1 began", 3},
		{"a lost write", `
			p0 write 1     |--|
			p1 read nil         |--|`, Invalid,
			"the default read by process 1 at n1 began 2.0 ms after the write of 1 by process 0 at n0 had been acknowledged, and yet it found the key absent", 2},
		{"an open write may come late", `
			p0 write 1     |--
			p1 read nil         |--|
			p2 read 1                |--|`, Valid, "", 0},
		{"an open write may never come", `
			p0 write 1     |--
			p1 read nil         |--|`, Valid, "", 0},
		{"an open write may come between later ones", `
			p0 write 1     |--
			p1 write 2          |--|
			p2 read 1                |--|`, Valid, "", 0},
		{"an open write comes once", `
			p0 write 1     |--
			p1 read 1        |--|
			p2 write 2             |--|
			p3 read 1                    |--|`, Invalid,
			"the default read by process 3 at n3 began 3.0 ms after the write of 2 by process 2 at n2 had been acknowledged, and yet it returned the older value 1: the default read by process 1 at n1 had returned 1 3.0 ms before", 4},
		{"a compare-and-set", `
			p0 write 1     |--|
			p1 cas 1 2          |--|
			p2 read 2                |--|`, Valid, "", 0},
		{"a compare-and-set from absent", `
			p0 cas nil 1   |--|
			p1 read 1           |--|`, Valid, "", 0},
		{"two compare-and-sets from one value", `
			p0 write 1     |--|
			p1 cas 1 2          |-----|
			p2 cas 1 3            |-----|`, Invalid,
			"the compare-and-set of 1 to 2 by process 1 at n1 and the compare-and-set of 1 to 3 by process 2 at n2 both replaced the value 1, which was written only once", 3},
		{"two compare-and-sets from absent", `
			p1 cas nil 2        |-----|
			p2 cas nil 3          |-----|`, Invalid,
			"the compare-and-set of absent to 2 by process 1 at n1 and the compare-and-set of absent to 3 by process 2 at n2 both replaced the value absent, which it never became again", 2},
		{"a value that was replaced comes back", `
			p0 write 5     |----
			p1 cas 5 6          |--|
			p2 read 5                 |--|`, Invalid,
			"the default read by process 2 at n2 began 3.0 ms after the compare-and-set of 5 to 6 by process 1 at n1 had succeeded, and yet it returned the older value 5, which the compare-and-set of 5 to 6 by process 1 at n1 had replaced and which was written only once", 3},
		{"an open compare-and-set whose value was read", `
			p0 write 1     |--|
			p1 cas 1 2          |---
			p2 read 2               |--|
			p3 read 1                      |--|`, Invalid,
			"the default read by process 3 at n3 began 4.0 ms after the default read by process 2 at n2 had returned 2, and yet it returned the older value 1", 4},
		{"a refused compare that reports a fresh value", `
			p0 write 1     |--|
			p1 cas 7 2 (1)      |--x`, Valid, "", 0},
		{"a refused compare that reports an old value", `
			p0 write 1     |--|
			p1 write 2          |--|
			p2 cas 7 3 (1)           |--x`, Invalid,
			"the compare-and-set of 7 to 3 by process 2 at n2 began 2.0 ms after the write of 2 by process 1 at n1 had been acknowledged, and yet it found the older value 1", 3},
		{"a refused compare that found what it asked for", `
			p0 write 1     |--|
			p1 cas 1 2 (1)      |--x`, Invalid,
			"the compare-and-set of 1 to 2 by process 1 at n1 was refused, although 1, which it asked for, is what it found", 2},
		{"a refused compare that hides what it found", `
			p0 write 1     |--|
			p1 cas 1 2          |--x`, Invalid,
			"no order of these 2 operations", 2},
		{"a refused compare that an open write explains", `
			p0 write 1     |--|
			p1 write 2          |---
			p2 cas 1 3            |--x`, Valid, "", 0},
		{"a refused compare before the open write that would explain it", `
			p0 write 1     |--|
			p2 cas 1 3          |--x
			p1 write 2               |---`, Invalid,
			"no order of these 2 operations", 2},
		{"a value from nowhere", `
			p0 write 1     |--|
			p1 read 9           |--|`, Unknown,
			"key k: somebody else wrote here: at ", 0},
		{"the value of a write that failed", `
			p0 write 9     |--!
			p1 read 9           |--|`, Invalid,
			"the default read by process 1 at n1 returned 9, which only the write of 9 by process 0 at n0 put forward, and that had failed for certain (not-leader)", 2},
		{"the value of a compare-and-set that was refused", `
			p0 cas 1 9     |--x
			p1 read 9           |--|`, Invalid,
			"the default read by process 1 at n1 returned 9, which only the compare-and-set of 1 to 9 by process 0 at n0 put forward, and that had failed for certain (cas-mismatch)", 2},
		{"a value before its write", `
			p1 read 9      |--|
			p0 write 9          |--|`, Invalid,
			"the default read by process 1 at n1 returned 9 2.0 ms before the write of 9 by process 0 at n0 was even asked for", 2},
		{"two readers that disagree on the order of two writes", `
			p0 write 1     |------------------|
			p1 write 2     |------------------|
			p2 read 1       |--|
			p2 read 2            |--|
			p2 read 1                 |--|`, Invalid, "the default read by process 2", 5},
		{"a chain of compare-and-sets with a write inside", `
			p0 cas nil 1   |--|
			p1 write 4       |-----------|
			p2 cas 1 2          |--|
			p3 cas 2 3               |--|
			p4 read 4                        |--|`, Valid, "", 0},
		{"a value between two that a compare-and-set joins", `
			p0 write 1     |--|
			p1 write 4       |--------------------|
			p2 read 1           |--|
			p2 read 4                |--|
			p3 cas 1 2                       |--|`, Invalid, "the compare-and-set of 1 to 2", 4},
		{"a delete", `
			p0 write 1     |--|
			p1 delete           |--|
			p2 read nil              |--|`, Valid, "", 0},
		{"a lost delete", `
			p0 write 1     |--|
			p1 delete           |--|
			p2 read 1                |--|`, Invalid, "no order of these 3 operations", 3},
		{"a key that is made again after a delete", `
			p0 cas nil 1   |--|
			p1 delete           |--|
			p2 cas nil 2             |--|
			p3 read 2                     |--|`, Valid, "", 0},
		{"a value that comes back, where there are deletes", `
			p0 write 1     |--|
			p1 write 2          |--|
			p2 read 1                |--|
			p3 read 2                |--|
			p4 delete                     |--|`, Invalid, "the default read by process 2 at n2 began 2.0 ms after the write of 2", 3},
		{"an open delete may come late", `
			p0 write 1     |--|
			p1 delete           |---
			p2 read 1                |--|
			p3 read nil                   |--|`, Valid, "", 0},
		{"an open delete comes once", `
			p0 write 1     |--|
			p1 delete           |---
			p2 read nil              |--|
			p3 write 2                    |--|
			p4 read nil                        |--|`, Invalid, "no order of these 5 operations", 5},
		{"a compare-and-delete", `
			p0 write 1     |--|
			p1 delete-cas 1     |--|
			p2 read nil              |--|`, Valid, "", 0},
		{"a compare-and-delete of what is gone succeeds", `
			p0 write 1     |--|
			p1 delete           |--|
			p2 delete-cas 1          |--|
			p3 read nil                   |--|`, Valid, "", 0},
		{"or is refused", `
			p0 write 1     |--|
			p1 delete           |--|
			p2 delete-cas 1          |--x`, Valid, "", 0},
		{"a compare-and-delete that removes another value", `
			p0 write 1     |--|
			p1 write 2          |--|
			p2 delete-cas 1          |--|`, Invalid, "no order of these 3 operations", 3},
		{"a compare-and-delete that finds another value", `
			p0 write 1     |--|
			p1 write 2          |--|
			p2 delete-cas 1 (2)      |--x`, Valid, "", 0},
		{"a compare-and-delete that is refused for nothing", `
			p0 write 1     |--|
			p2 delete-cas 1     |--x`, Invalid, "no order of these 2 operations", 2},
		{"a compare-and-delete that is refused, and found what it asked for", `
			p0 write 1     |--|
			p2 delete-cas 1 (1) |--x`, Invalid, "the compare-and-delete of 1 by process 2 at n2 was refused, although 1", 2},
		{"repeated values are judged too", `
			p0 write 1     |--|
			p0 write 2          |--|
			p0 write 1               |--|
			p1 read 1                     |--|`, Valid, "", 0},
		{"repeated values are shrunk too", `
			p0 write 1     |--|
			p0 write 1          |--|
			p0 write 2               |--|
			p3 read 2                     |--|
			p1 read 1                           |--|`, Invalid, "no order of these 4 operations", 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops := draw(t, c.picture)
			r := checkLinearizable(context.Background(), registerRun("default", ops))
			require.Equal(t, c.verdict, r.Verdict, "%s %v", r.Summary, r.Reasons)
			require.Equal(t, c.verdict == Valid, brute(ops), "the picture itself")
			if c.verdict != Invalid {
				require.Empty(t, r.Counterexamples)
				return
			}
			require.Len(t, r.Counterexamples, 1)
			got := r.Counterexamples[0]
			require.True(t, strings.HasPrefix(got.Why, c.why), "%s", got.Why)
			require.Len(t, got.Ops, c.ops, "%s", encode(got.Ops))
			require.Equal(t, len(ops), got.Of)
			require.Contains(t, string(got.Picture), "<html")
		})
	}
}

func TestStaleReadsAreJudgedOnlyInModeStale(t *testing.T) {
	ops := draw(t, `
		p0 write 1     |--|
		p1 write 2          |--|
		p2 read 1                |--|
		p3 read 2                |--|`)
	for i := range ops {
		if ops[i].Process == 2 {
			ops[i].Mode = "stale"
		}
	}
	r := checkLinearizable(context.Background(), registerRun("default", ops))
	require.Equal(t, Valid, r.Verdict)
	require.Contains(t, r.Metrics, Metric{Name: "left out: stale reads", Value: 1})

	r = checkLinearizable(context.Background(), registerRun("stale", ops))
	require.Equal(t, Invalid, r.Verdict)
	require.Contains(t, r.Summary, "the stale read by process 2 at n2")
}

// A stale read may run ahead of the leader. It must not bound the write that it saw.
func TestAStaleReadBoundsNothingForFreshOnes(t *testing.T) {
	ops := draw(t, `
		p0 write 1     |--|
		p1 write 2           |------------------
		p2 read 2              |--|
		p3 read 1                     |--|`)
	for i := range ops {
		if ops[i].Process == 2 {
			ops[i].Mode = "stale"
		}
	}
	require.Equal(t, Valid, checkLinearizable(context.Background(), registerRun("default", ops)).Verdict)
	require.Equal(t, Invalid, checkLinearizable(context.Background(), registerRun("stale", ops)).Verdict)
}

func TestKeysAreJudgedApart(t *testing.T) {
	var ops []history.Operation
	for i := range 20 {
		picture := `
			p0 write 1     |--|
			p1 write 2          |--|
			p2 read 2                |--|`
		if i%7 == 3 {
			picture = strings.Replace(picture, "read 2", "read 1", 1)
		}
		for _, op := range draw(t, picture) {
			op.ID = int64(len(ops))
			op.Key = fmt.Sprintf("k%d", i)
			ops = append(ops, op)
		}
	}
	r := checkLinearizable(context.Background(), registerRun("default", ops))
	require.Equal(t, Invalid, r.Verdict)
	var bad []string
	for _, c := range r.Counterexamples {
		bad = append(bad, c.Key)
		require.Len(t, c.Ops, 3)
		for _, op := range c.Ops {
			require.Equal(t, c.Key, op.Key)
		}
	}
	require.Equal(t, []string{"k3", "k10", "k17"}, bad)
	require.Contains(t, r.Summary, "3 of 20 keys")
	again := checkLinearizable(context.Background(), registerRun("default", ops))
	require.NotNil(t, r.Budget)
	r.Budget, again.Budget = nil, nil // which is about the machine
	require.Equal(t, encode(r), encode(again), "the same result again")
}

// One key that fits no register hides nothing on the others.
func TestAKeyThatFitsNoRegisterIsUnknownAlone(t *testing.T) {
	strange := history.Operation{ID: 90, Process: 90, F: "append", Key: "odd", Type: history.OK, Return: 5}
	lost := draw(t, `
		p0 write 1     |--|
		p1 read nil         |--|`)
	r := checkLinearizable(context.Background(), registerRun("", append(lost, strange)))
	require.Equal(t, Invalid, r.Verdict, r.Summary)
	require.Contains(t, strings.Join(r.Reasons, "; "), `key odd: the history does not fit the register`)
	require.False(t, r.Budget.Exhausted)
}

func TestWhatCannotBeJudgedIsUnknown(t *testing.T) {
	read := history.Operation{F: "read", Key: "k", Type: history.OK, Output: history.Null, Return: 5}
	for name, c := range map[string]struct {
		run  *Run
		says string
	}{
		"no operations": {registerRun("", nil), "nothing was tested"},
		"only writes": {registerRun("", []history.Operation{
			{F: "write", Key: "k", Type: history.OK, Input: history.Int(1), Return: 5}}), "nothing was tested"},
		"a verb that no register has": {registerRun("", []history.Operation{read,
			{F: "append", Key: "k", Type: history.OK, Return: 5}}), `a register has no "append"`},
		"a deletion that sets something": {registerRun("", []history.Operation{read,
			{F: "delete-cas", Key: "k", Type: history.OK, Input: []byte("[1,2]"), Return: 5}}), `a delete-cas does not set 2`},
		"a compare-and-set that sets nothing": {registerRun("", []history.Operation{read,
			{F: "cas", Key: "k", Type: history.OK, Input: []byte("[1,null]"), Return: 5}}), `a cas does not set absent`},
		"a value that is no integer": {registerRun("", []history.Operation{
			{F: "read", Key: "k", Type: history.OK, Output: []byte(`"x"`), Return: 5}}), `somebody else wrote here: at 0.000 s a read of  found "x"`},
		"a read without its value": {registerRun("", []history.Operation{
			{F: "read", Key: "k", Type: history.OK, Return: 5}}), "the read value"},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkLinearizable(context.Background(), c.run)
			require.Equal(t, Unknown, r.Verdict)
			require.Contains(t, r.Summary, c.says)
		})
	}
}

// overlapping is a key on which n compare-and-sets among a few values may or may not have
// happened, and then reads of two other values that hardly any of them leads to; a search has to look at
// nearly all orders.
func overlapping(n int) []history.Operation {
	r := rand.New(rand.NewPCG(7, 7))
	var ops []history.Operation
	add := func(op history.Operation) {
		op.ID, op.Process, op.Key = int64(len(ops)), history.Process(len(ops)), "hard"
		ops = append(ops, op)
	}
	values := int64(n/4 + 2)
	add(history.Operation{F: "write", Type: history.OK, Input: history.Int(0), Return: 1})
	for i := range n {
		from := r.Int64N(values)
		add(history.Operation{F: "cas", Type: history.Info, Input: history.Pair(&from, int64(i)%values), Invoke: 2, Return: history.Pending})
	}
	for i := range 2 * n {
		add(history.Operation{F: "read", Type: history.OK, Output: history.Int(int64(i) % values), Invoke: int64(10*i + 10), Return: int64(10*i + 15)})
	}
	return ops
}

func TestAHardKeyEndsWithTheBudgetAndHidesNoOther(t *testing.T) {
	easy := draw(t, `
		p900 write 1     |--|
		p901 read nil         |--|`)
	for i := range easy {
		easy[i].ID += 1000
	}
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()

	r := checkLinearizable(ctx, registerRun("", overlapping(100)))
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "key hard: out of time")

	ctx, cancel = context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	r = checkLinearizable(ctx, registerRun("", append(overlapping(100), easy...)))
	require.Equal(t, Invalid, r.Verdict)
	require.Equal(t, "k", r.Counterexamples[0].Key)
	require.Contains(t, strings.Join(r.Reasons, "\n"), "key hard: out of time")
}

func TestAContextThatIsOverDecidesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	constraints := constraintsOf(t, draw(t, `p0 read nil  |--|`))
	a, why := search(ctx, constraints, nil)
	require.Equal(t, undecided, a)
	require.Equal(t, "out of time", why)
}

func TestMemoryIsKept(t *testing.T) {
	run := registerRun("", overlapping(40))
	run.Settings.CheckMemoryMB = 1
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // memory is to end first, however slow the machine
	defer cancel()
	r := checkLinearizable(ctx, run)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "out of memory")

	long := make([]history.Operation, 30_000)
	for i := range long {
		long[i] = history.Operation{ID: int64(i), F: "read", Key: "long", Type: history.OK, Output: history.Null,
			Invoke: int64(10 * i), Return: int64(10*i + 5)}
		if i < 2 { // twice the same value, so that there is no short cut
			long[i].F, long[i].Input, long[i].Output = "write", history.Int(7), nil
		} else {
			long[i].Output = history.Int(7)
		}
	}
	run = registerRun("", long)
	run.Settings.CheckMemoryMB = 1
	r = checkLinearizable(ctx, run)
	require.Equal(t, Unknown, r.Verdict)
	require.Contains(t, r.Summary, "key long: 30000 operations on one key need at least")

	run.Settings.CheckMemoryMB = 1024
	require.Equal(t, Valid, checkLinearizable(ctx, run).Verdict)
}

// What makes Porcupine alone run for hours: a violation, and open writes beside it.
func TestOpenWritesDoNotExplode(t *testing.T) {
	var ops []history.Operation
	add := func(f history.Op, typ history.Type, v int64, from, to int64) {
		op := history.Operation{ID: int64(len(ops)), Process: history.Process(len(ops)), F: f, Key: "k", Type: typ,
			Input: history.Int(v), Invoke: from, Return: to}
		if f == "read" {
			op.Input, op.Output = nil, history.Int(v)
		}
		ops = append(ops, op)
	}
	for v := range int64(40) { // of the open writes every second one is seen
		add("write", history.Info, v+1, 10*v, history.Pending)
		if v%2 == 0 {
			add("read", history.OK, v+1, 10*v+2, 10*v+8)
		}
	}
	run := registerRun("", ops)
	require.Equal(t, Valid, checkLinearizable(context.Background(), run).Verdict)

	add("read", history.OK, 5, 900, 910)
	run.Ops = ops
	r := checkLinearizable(context.Background(), run)
	require.Equal(t, Invalid, r.Verdict)
	require.LessOrEqual(t, len(r.Counterexamples[0].Ops), 5)
}

func TestPicturesShowTheWindowAroundTheProof(t *testing.T) {
	var ops []history.Operation
	for i := range int64(600) {
		op := history.Operation{ID: i, Process: history.Process(i % 7), F: "write", Key: "k", Type: history.OK,
			Input: history.Int(i), Invoke: 10 * i, Return: 10*i + 5}
		if i%2 == 1 {
			op.F, op.Input, op.Output = "read", nil, history.Int(i-1)
		}
		ops = append(ops, op)
	}
	ops[401].Output = history.Int(398)
	run := registerRun("", ops)
	run.Faults = []history.Fault{{Step: 3, Name: "partition", Start: 3900, Heal: 5000, Healed: 5100}}
	r := checkLinearizable(context.Background(), run)
	require.Equal(t, Invalid, r.Verdict)
	page := string(r.Counterexamples[0].Picture)
	require.Contains(t, page, "read → 398 · p2")
	require.Contains(t, page, "partition")
	require.NotContains(t, page, "write 0 ")
	require.Less(t, strings.Count(page, "OriginalStart"), 220)
}

// The histories that come with Porcupine are etcd's own, as Jepsen recorded them. Their
// values repeat.
func TestJepsenHistoriesOfEtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	good, bad := 0, 0
	for _, log := range jepsenLogs(t) {
		constraints := constraintsOf(t, log.ops)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		a, why := decide(ctx, constraints, nil)
		cancel()
		require.NotEqual(t, undecided, a, "%s: %s", log.name, why)
		if a == legal {
			good++
			continue
		}
		bad++
	}
	require.Equal(t, []int{23, 79}, []int{good, bad})
}

// What a stranger wrote is nobody's fault, and hides nothing on other keys.
func TestAStrangersWrite(t *testing.T) {
	ops := func(found string) []history.Operation {
		return []history.Operation{
			{ID: 0, Process: 0, F: "write", Key: "a", Type: history.OK, Input: history.Int(1), Invoke: 0, Return: 5, Node: "s1", ModifyIndex: 10},
			{ID: 1, Process: 1, F: "read", Key: "a", Type: history.OK, Output: []byte(found), Invoke: 6, Return: 9, Node: "s2", ModifyIndex: 10},
			{ID: 2, Process: 2, F: "write", Key: "b", Type: history.OK, Input: history.Int(2), Invoke: 0, Return: 5, Node: "s1", ModifyIndex: 11},
		}
	}
	lost := history.Operation{ID: 3, Process: 3, F: "read", Key: "b", Type: history.OK, Output: history.Null, Invoke: 6, Return: 9, Node: "s2"}
	for _, found := range []string{"77", `"text"`} {
		run := registerRun("", ops(found))
		for _, check := range []func(context.Context, *Run) Result{checkLinearizable, checkIndex} {
			r := check(context.Background(), run)
			require.Equal(t, Unknown, r.Verdict, r.Summary)
			require.Contains(t, strings.Join(r.Reasons, "; "), "somebody else wrote here: at 0.000 s a read of s2 found "+found)
		}
		r := checkLinearizable(context.Background(), registerRun("", append(ops(found), lost)))
		require.Equal(t, Invalid, r.Verdict, r.Summary)
		require.Contains(t, r.Summary, "key b")
	}
	// What somebody asked to write elsewhere, or in vain, the system mixed up itself.
	mixed := registerRun("", ops("2"))
	require.Equal(t, Invalid, checkLinearizable(context.Background(), mixed).Verdict)
}
