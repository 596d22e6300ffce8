package workloads

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

// Lists of a store that is linearizable are judged valid, whatever goes wrong on the way to it.
func TestAppendOnAStoreInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gen Generator
		b := newBench(t, func(c *Config) {
			var err error
			gen, err = NewAppend(Options{Seed: 7, OpsPerKey: 20})
			require.NoError(t, err)
			c.Generator = gen
		})
		b.troubles(map[trouble]float64{refuse: 0.1, lose: 0.1, forget: 0.1, hang: 0.05})
		b.run(30 * time.Second)
		b.troubles(nil)
		require.NoError(t, b.Final(t.Context()))
		_, ops := b.finish()
		run := &checker.Run{Settings: checker.Settings{Workload: "append"}, Ops: ops} // whose servers have no copies to look at
		verdict, results := checker.Judge(context.Background(), run, Append().Checkers)
		require.Equal(t, checker.Valid, verdict, "%+v", results)
		good := map[history.Op]int{}
		keys := map[string]bool{}
		for _, op := range ops {
			keys[op.Key] = true
			if op.Type == history.OK {
				good[op.F]++
			}
		}
		require.Greater(t, good[history.OpCAS], 200)
		require.Greater(t, good[history.OpRead], 200)
		require.Greater(t, len(keys), 8, "lists are replaced as they grow long")
	})
}

func TestListsAreRecordedAsTheyAre(t *testing.T) {
	for value, ok := range map[string]bool{"[]": true, "[1]": true, "[1,-2]": true, "": false, "7": false, "[1, 2]": false, "[1.5]": false, "null": false, `["a"]`: false} {
		recorded, is := recordList(nodes.Answer{Value: value})
		require.Equal(t, ok, is, value)
		if is {
			require.Equal(t, value, string(recorded))
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for want, o := range map[string]Options{"-1 lists": {Keys: -1}, "lists of -1 elements": {OpsPerKey: -1}, "more than all operations": {ReadShare: 2}} {
		_, err := NewAppend(o)
		require.ErrorContains(t, err, want)
	}
}

// Where answers have no index, the longest list that was told of is the newest.
func TestAppendComparesValuesWhereNothingHasAnIndex(t *testing.T) {
	gen, err := NewAppend(Options{Keys: 1, ReadShare: -1, ByValue: true})
	require.NoError(t, err)
	next := func(old string) Op {
		t.Helper()
		op := gen.Next()
		require.Equal(t, history.OpCAS, op.F)
		require.Zero(t, op.Index)
		require.Equal(t, old, op.Old)
		return op
	}
	learn := func(op Op, value string) {
		op.F = history.OpRead
		gen.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Found: value != "", Value: value}})
	}
	op := next("")
	require.Equal(t, "[null,[1]]", string(op.Argument))
	learn(op, "")
	gen.Learn(next(""), Outcome{Type: history.Info, Error: history.Timeout})
	learn(op, "[1,2]")
	op = next("[1,2]")
	require.Equal(t, "[1,2,3]", op.Value)
	learn(op, "[1]") // a stale read
	op = next("[1,2]")
	gen.Learn(op, Outcome{Type: history.OK, Answer: nodes.Answer{Found: true, Value: op.Value}})
	next(op.Value)
}
