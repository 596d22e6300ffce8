package workloads

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func colds(t *testing.T, o Options) *register {
	g, err := NewRegister(o)
	require.NoError(t, err)
	return g.(*register)
}

// A cold key is written once, or a few times, and read again and again.
func TestColdKeysAreWrittenOnceOrAFewTimes(t *testing.T) {
	g := colds(t, Options{ColdShare: 0.5, Seed: 3})
	changes, reads, cold := map[string]int{}, map[string]int{}, 0
	isCold := map[string]bool{}
	const ops = 40000
	for range ops {
		op := g.Next()
		k := op.Own.(*registerKey)
		if k.once || len(g.cold) > 0 && k.budget < mostChanges {
			isCold[op.Key] = true
			cold++
		}
		if op.F == history.OpRead {
			reads[op.Key]++
		} else {
			changes[op.Key]++
		}
	}
	require.InDelta(t, ops/2, cold, ops/40)
	once, few, readLater := 0, 0, 0
	for k := range isCold {
		require.LessOrEqual(t, changes[k], mostChanges)
		require.Positive(t, changes[k])
		if changes[k] == 1 {
			once++
		} else {
			few++
		}
		if reads[k] > 0 {
			readLater++
		}
	}
	require.Greater(t, once, len(isCold)/3)
	require.Greater(t, few, len(isCold)/5)
	require.Greater(t, readLater, len(isCold)/2)
	require.LessOrEqual(t, len(g.cold), rememberedKeys)
	require.Equal(t, "k", g.cold[0].name[:1])
	number, err := strconv.Atoi(g.cold[0].name[1:])
	require.NoError(t, err)
	require.Less(t, number, 100, "the oldest stay")
}

// The final reads have keys of the beginning among them, however long the run.
func TestFinalsHaveTheOldestAndTheNewest(t *testing.T) {
	g := colds(t, Options{ColdShare: 0.5, OpsPerKey: 3})
	for range 30 * rememberedKeys {
		g.Next()
	}
	ops := g.Finals(finalKeys)
	require.Len(t, ops, finalKeys)
	old, young, seen := 0, 0, map[string]bool{}
	for _, op := range ops {
		require.Equal(t, history.OpRead, op.F)
		require.False(t, seen[op.Key], "%s twice", op.Key)
		seen[op.Key] = true
		n, err := strconv.Atoi(op.Key[1:])
		require.NoError(t, err)
		if n < 2*finalKeys {
			old++
		}
		if n > g.named-2*finalKeys {
			young++
		}
	}
	require.Equal(t, finalKeys/2, old)
	require.Equal(t, finalKeys/2, young)
	all := g.Finals(1 << 20)
	seen = map[string]bool{}
	for _, op := range all {
		require.False(t, seen[op.Key], "%s twice", op.Key)
		seen[op.Key] = true
	}
}

func TestDeletionsAreAShareAndRecordedAsSuch(t *testing.T) {
	g := colds(t, Options{DeleteShare: 0.2, Seed: 5})
	seen := map[history.Op]float64{}
	for i := range 20000 {
		op := g.Next()
		seen[op.F] += 1.0 / 20000
		switch op.F {
		case history.OpDelete:
			require.Nil(t, op.Argument)
		case history.OpDeleteCAS:
			require.Positive(t, op.Index)
			require.Equal(t, "["+op.Old+",null]", string(op.Argument))
		}
		g.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Found: true, Value: "7", Index: uint64(i + 1)}})
	}
	require.InDelta(t, 0.2, seen[history.OpDelete]+seen[history.OpDeleteCAS], 0.02)
	require.InDelta(t, 0.5, seen[history.OpRead], 0.02)
	require.InDelta(t, 0.05, seen[history.OpWrite], 0.02)
	require.Greater(t, seen[history.OpDeleteCAS], 0.02)
	require.Greater(t, seen[history.OpDelete], 0.02)

	g = colds(t, Options{ColdShare: 0.5, LateShare: 0.1})
	for range 20000 {
		require.NotContains(t, []history.Op{history.OpDelete, history.OpDeleteCAS}, g.Next().F, "none unless they are asked for")
	}
}

// Whoever was told that a key is gone starts from there.
func TestAbsenceIsLearnedWhereKeysAreDeleted(t *testing.T) {
	for _, deletes := range []float64{0, 0.01} {
		g := colds(t, Options{Keys: 1, OpsPerKey: 1000, DeleteShare: deletes})
		k := g.active[0]
		there := Outcome{Type: history.OK, Answer: nodes.Answer{Found: true, Value: "5", Index: 9}}
		for name, gone := range map[string]struct {
			f history.Op
			a Outcome
		}{
			"a read":        {history.OpRead, Outcome{Type: history.OK}},
			"a deletion":    {history.OpDelete, Outcome{Type: history.OK, Answer: nodes.Answer{Index: 12}}},
			"a conditional": {history.OpDeleteCAS, Outcome{Type: history.OK, Answer: nodes.Answer{Index: 12}}},
			"a compare":     {history.OpCAS, Outcome{Type: history.Fail, Error: history.CASMismatch, Answer: nodes.Answer{HasCurrent: true}}},
		} {
			g.Learn(g.read(k), there)
			require.Equal(t, registerState{true, "5", 9}, k.now)
			op := g.read(k)
			op.F = gone.f
			g.Learn(op, gone.a)
			require.Equal(t, deletes == 0, k.now.there, name)
			k.now = registerState{}
		}
		g.Learn(g.read(k), there)
		op := g.read(k)
		op.F = history.OpDelete
		g.Learn(op, Outcome{Type: history.Info, Error: history.Timeout})
		require.True(t, k.now.there, "nobody knows")
	}
}

// A late client compares with what it was told long ago.
func TestLateClients(t *testing.T) {
	g := colds(t, Options{LateShare: 0.1, ColdShare: 0.3, OpsPerKey: 20, Seed: 4})
	told, firsts, retired, late := map[string]string{}, map[string]string{}, 0, 0
	var index uint64
	const ops = 20000
	for range ops {
		op := g.Next()
		k := op.Own.(*registerKey)
		if op.F == history.OpCAS && op.Old != "" && op.Old == firsts[op.Key] && op.Old != told[op.Key] {
			late++
			require.False(t, k.once, "what is written once stays so")
			if k.ops > 20 {
				retired++
			}
			g.Learn(op, Outcome{Type: history.Fail, Error: history.CASMismatch})
			continue
		}
		if op.F == history.OpRead {
			continue
		}
		index++
		if told[op.Key] = op.Value; firsts[op.Key] == "" {
			firsts[op.Key] = op.Value
		}
		g.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Index: index}})
	}
	require.Greater(t, late, ops*4/100)
	require.Greater(t, retired, 100, "of keys that nobody uses any more, too")
}

// All of it at once, against a store with trouble, is as linearizable as before.
func TestColdAndLateClientsOfAHealthyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) {
			var err error
			c.Generator, err = NewRegister(Options{ColdShare: 0.2, LateShare: 0.05, OddNames: true, OpsPerKey: 60})
			require.NoError(t, err)
			c.LeastTimeout = 20 * time.Millisecond
		})
		b.troubles(map[trouble]float64{refuse: 0.02, lose: 0.01, forget: 0.01, hang: 0.01})
		b.run(10 * time.Second)
		require.NoError(t, b.Final(t.Context()))
		_, ops := b.finish()
		require.Greater(t, len(ops), 500)
		requireLinearizable(t, ops)
	})
}

func TestNamesAreDistinct(t *testing.T) {
	seen, odd := map[string]bool{}, 0
	for n := range 3000 {
		name := keyName(n, true)
		require.False(t, seen[name], name)
		seen[name] = true
		if name != keyName(n, false) {
			odd++
		}
	}
	require.Equal(t, 1000, odd)
}
