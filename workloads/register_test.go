package workloads

import (
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestRegisterKeepsItsShares(t *testing.T) {
	for _, c := range []struct {
		options           Options
		read, write, sets float64
	}{
		{Options{}, 0.5, 0.25, 0.25},
		{Options{ReadShare: 0.9, CASShare: -1}, 0.9, 0.1, 0},
		{Options{ReadShare: -1, CASShare: 1}, 0, 0, 1},
		{Options{ReadShare: -1, CASShare: -1}, 0, 1, 0},
	} {
		g, err := NewRegister(c.options)
		require.NoError(t, err)
		seen := map[history.Op]float64{}
		for range 20000 {
			seen[g.Next().F] += 1.0 / 20000
		}
		require.InDelta(t, c.read, seen[history.OpRead], 0.02)
		require.InDelta(t, c.write, seen[history.OpWrite], 0.02)
		require.InDelta(t, c.sets, seen[history.OpCAS], 0.02)
	}
}

func TestRegisterReplacesKeys(t *testing.T) {
	g, err := NewRegister(Options{Keys: 3, OpsPerKey: 30})
	require.NoError(t, err)
	ops, last := map[string]int{}, map[string]int{}
	for i := range 3000 {
		k := g.Next().Key
		ops[k]++
		last[k] = i
	}
	require.InDelta(t, 100, len(ops), 5)
	for k, n := range ops {
		require.LessOrEqual(t, n, 30)
		number, err := strconv.Atoi(k[1:])
		require.NoError(t, err)
		if last[k] < 2000 && number > 2 {
			require.Equal(t, 30, n, "%s was replaced before its time", k)
		}
	}
}

func TestRegisterRepeatsItself(t *testing.T) {
	draw := func(seed uint64) (ops []Op) {
		g, err := NewRegister(Options{Seed: seed})
		require.NoError(t, err)
		for range 100 {
			op := g.Next()
			op.Own = nil
			ops = append(ops, op)
		}
		return ops
	}
	require.Equal(t, draw(1), draw(1))
	require.NotEqual(t, draw(1), draw(2))
}

func TestRegisterComparesWithWhatWasSeenLast(t *testing.T) {
	gen, err := NewRegister(Options{Keys: 1, OpsPerKey: 1000, ReadShare: -1, CASShare: 1, Mode: history.ModeStale})
	require.NoError(t, err)
	learn := func(f history.Op, a Outcome) {
		op := gen.Next()
		op.F, op.Value = f, "77"
		gen.Learn(op, a)
	}
	next := func(old string, index uint64) {
		t.Helper()
		op := gen.Next()
		require.Equal(t, index, op.Index)
		require.Equal(t, "["+old+","+op.Value+"]", string(op.Argument))
	}
	ok := func(value string, index uint64) Outcome {
		return Outcome{Type: history.OK, Answer: nodes.Answer{Value: value, Found: true, Index: index}}
	}
	mismatch := func(item nodes.Answer) Outcome {
		return Outcome{Type: history.Fail, Error: history.CASMismatch, Answer: item}
	}

	next("null", 0)
	learn(history.OpRead, Outcome{Type: history.OK})
	next("null", 0)
	learn(history.OpRead, ok("5", 10))
	next("5", 10)
	learn(history.OpRead, ok("4", 9)) // a stale read
	next("5", 10)
	learn(history.OpWrite, Outcome{Type: history.OK, Answer: nodes.Answer{Index: 11}})
	next("77", 11)
	learn(history.OpWrite, Outcome{Type: history.Info, Error: history.Timeout})
	next("77", 11)
	learn(history.OpCAS, mismatch(nodes.Answer{})) // it told nothing
	next("77", 11)
	learn(history.OpCAS, mismatch(nodes.Answer{Value: "8", Found: true, Index: 15, HasCurrent: true}))
	next("8", 15)
	learn(history.OpCAS, ok("", 16))
	next("77", 16)
	learn(history.OpRead, ok("no integer", 20))
	next("77", 16)
	learn(history.OpRead, ok("9", 0)) // a system that tells no index
	next("77", 16)

	read := gen.Read()
	require.Equal(t, history.ModeStale, read.Mode)
	require.Nil(t, read.Argument)
}

func TestRegisterReadsKeysThatWereUsed(t *testing.T) {
	g, err := NewRegister(Options{Keys: 5})
	require.NoError(t, err)
	require.Equal(t, "k", g.Read().Key[:1], "even if none was")
	g, err = NewRegister(Options{Keys: 5})
	require.NoError(t, err)
	used := g.Next().Key
	for range 50 {
		require.Equal(t, used, g.Read().Key)
	}
}

func TestRegisterForgetsOldKeys(t *testing.T) {
	g, err := NewRegister(Options{Keys: 2, OpsPerKey: 1})
	require.NoError(t, err)
	for range 10 * rememberedKeys {
		g.Next()
	}
	require.LessOrEqual(t, len(g.(*register).used), 2*rememberedKeys)
	require.Len(t, g.Finals(5), 5)
	all := g.Finals(math.MaxInt)
	require.GreaterOrEqual(t, len(all), rememberedKeys-2)
}

func TestRegisterRefusesNonsense(t *testing.T) {
	for want, o := range map[string]Options{
		"-1 keys":          {Keys: -1},
		"-1 operations":    {OpsPerKey: -1},
		"more than all":    {ReadShare: 0.8, CASShare: 0.3},
		"reads (NaN)":      {ReadShare: math.NaN()},
		"sets (+Inf)":      {CASShare: math.Inf(1)},
		"reads (1) and co": {ReadShare: 1},
		"deletions (0.5)":  {DeleteShare: 0.5},
		"deletions (NaN)":  {DeleteShare: math.NaN()},
		"late ones (0.6)":  {LateShare: 0.6, ColdShare: 0.5},
	} {
		_, err := NewRegister(o)
		require.ErrorContains(t, err, want)
	}
}

func TestAllIsSortedAndMade(t *testing.T) {
	before := ""
	for _, w := range All() {
		require.Less(t, before, w.Name)
		before = w.Name
		require.NotEmpty(t, w.Doc)
		g, err := w.New(Options{})
		require.NoError(t, err)
		require.NotEmpty(t, g.Next().F)
	}
}

// Answers without an index are compared by value: the latest counts.
func TestRegisterComparesValuesWhereNothingHasAnIndex(t *testing.T) {
	gen, err := NewRegister(Options{Keys: 1, OpsPerKey: 1000, ReadShare: -1, CASShare: 1, ByValue: true})
	require.NoError(t, err)
	learn := func(f history.Op, a Outcome) {
		op := gen.Next()
		op.F, op.Value = f, "77"
		gen.Learn(op, a)
	}
	next := func(old string) {
		t.Helper()
		op := gen.Next()
		require.Zero(t, op.Index)
		require.Equal(t, old, op.Old)
		if old == "" {
			old = "null"
		}
		require.Equal(t, "["+old+","+op.Value+"]", string(op.Argument))
	}
	ok := func(value string) Outcome {
		return Outcome{Type: history.OK, Answer: nodes.Answer{Value: value, Found: true}}
	}
	next("")
	learn(history.OpRead, Outcome{Type: history.OK})
	next("")
	learn(history.OpRead, ok("5"))
	next("5")
	learn(history.OpRead, ok("no integer"))
	next("5")
	learn(history.OpWrite, Outcome{Type: history.Info, Error: history.Timeout})
	next("5")
	learn(history.OpCAS, Outcome{Type: history.Fail, Error: history.CASMismatch})
	next("5")
	learn(history.OpWrite, ok("77"))
	next("77")
}
