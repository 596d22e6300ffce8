package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// lists is a history of one list, drawn by hand: "read 1-5 [1 2]", "cas 2-8 [1] 2 ok".
func lists(t testing.TB, lines ...string) *Run {
	run := &Run{Settings: Settings{Workload: "append"}}
	for i, line := range lines {
		op := history.Operation{ID: int64(i), Process: history.Process(i), Key: "l", Node: "s1", Type: history.OK}
		var verb, rest string
		_, err := fmt.Sscanf(line, "%s %d-%d", &verb, &op.Invoke, &op.Return)
		require.NoError(t, err, line)
		rest = line[strings.Index(line, "["):]
		text, rest, _ := strings.Cut(rest, "]")
		list := json.RawMessage(strings.ReplaceAll(text, " ", ",") + "]")
		op.F = history.Op(verb)
		if verb == "append" { // "append 1-2 [] 7 ok"
			element, how, _ := strings.Cut(strings.TrimSpace(rest), " ")
			op.Input, op.Type = json.RawMessage(element), history.Type(how)
			if op.Type == history.Info {
				op.Return = history.Pending
			}
		} else if verb == "read" {
			op.Output = list
			if strings.Contains(rest, "stale") {
				op.Mode = history.ModeStale
			}
		} else {
			element, how, _ := strings.Cut(strings.TrimSpace(rest), " ")
			set := strings.TrimSuffix(string(list), "]")
			if set != "[" {
				set += ","
			}
			op.Input = json.RawMessage("[" + string(list) + "," + set + element + "]]")
			op.Type = history.Type(how)
			if op.Type == history.Info {
				op.Return = history.Pending
			}
		}
		run.Ops = append(run.Ops, op)
	}
	return run
}

func TestAppend(t *testing.T) {
	for name, c := range map[string]struct {
		verdict Verdict
		says    string
		lines   []string
	}{
		"a list grows":            {Valid, "3 states", []string{"cas 1-2 [] 1 ok", "cas 3-4 [1] 2 ok", "read 5-6 [1 2]"}},
		"of unknown fate, seen":   {Valid, "", []string{"cas 1-2 [] 1 info", "read 5-6 [1]"}},
		"of unknown fate, unseen": {Valid, "", []string{"cas 1-2 [] 1 info", "read 5-6 []"}},
		"seen while it is asked":  {Valid, "", []string{"cas 1-9 [] 1 ok", "read 2-3 []", "read 4-5 [1]"}},
		"an old stale read":       {Valid, "", []string{"cas 1-2 [] 1 ok", "read 3-4 [] stale"}},
		"nothing was seen":        {Unknown, "nothing was tested", []string{"cas 1-2 [] 1 info"}},
		"lost":                    {Invalid, "what was there is gone, or old", []string{"cas 1-2 [] 1 ok", "read 3-4 []"}},
		"lost under another":      {Invalid, "an element was lost", []string{"cas 1-2 [] 1 ok", "cas 3-4 [] 2 ok"}},
		"twice":                   {Invalid, "had the element 1 twice", []string{"cas 1-2 [] 1 ok", "read 3-4 [1 1]"}},
		"of nobody":               {Invalid, "which nobody asked to append there", []string{"read 3-4 [7]"}},
		"certainly failed":        {Invalid, "whose append had certainly failed", []string{"cas 1-2 [] 1 fail", "read 3-4 [1]"}},
		"before it was asked":     {Invalid, "which was only asked for at", []string{"read 1-2 [1]", "cas 3-4 [] 1 ok"}},
		"moved": {Invalid, "after others than those it was appended to",
			[]string{"cas 1-2 [] 1 info", "cas 1-2 [] 2 info", "read 3-4 [1 2]"}},
		"appended by the system":           {Valid, "2 states", []string{"append 1-2 [] 1 ok", "append 3-4 [] 2 ok", "read 5-6 [1 2]", "cas 7-8 [1 2] 3 ok"}},
		"two at a time, in either order":   {Valid, "", []string{"append 1-9 [] 1 ok", "append 1-9 [] 2 ok", "read 10-11 [2 1]"}},
		"of unknown fate, late":            {Valid, "", []string{"append 1-2 [] 1 info", "read 3-4 []", "cas 5-6 [] 2 ok", "read 7-8 [2 1]"}},
		"acknowledged, and not in a stale": {Valid, "", []string{"append 1-2 [] 1 ok", "read 3-4 [] stale"}},
		"appended twice":                   {Invalid, "had the element 1 twice", []string{"append 1-2 [] 1 ok", "read 3-4 [1 1]"}},
		"appended twice, of unknown fate":  {Invalid, "had the element 1 twice", []string{"append 1-2 [] 1 info", "read 3-4 [1 1]"}},
		"acknowledged and lost": {Invalid, "which no answer ever showed",
			[]string{"append 1-2 [] 1 ok", "read 3-4 []"}},
		"acknowledged, and late": {Invalid, "was appended as element 1",
			[]string{"append 1-2 [] 1 ok", "read 3-4 []", "read 5-6 [1]"}},
		"in the wrong order": {Invalid, "was appended as element 2",
			[]string{"append 1-2 [] 1 ok", "append 3-4 [] 2 ok", "read 5-6 [2 1]"}},
		"in the wrong order, of unknown fate": {Invalid, "was appended as element 2",
			[]string{"append 1-2 [] 1 ok", "cas 3-4 [] 2 info", "read 5-6 [2 1]"}},
		"failed, and there": {Invalid, "whose append had certainly failed",
			[]string{"append 1-2 [] 1 fail", "read 3-4 [1]"}},
		"set over an append": {Invalid, "after others than those it was appended to",
			[]string{"append 1-9 [] 1 info", "append 1-9 [] 2 info", "cas 1-9 [2] 3 info", "append 1-9 [] 4 info", "read 10-11 [1 3 4]"}},
		"back, seen by two": {Invalid, "what was there is gone, or old",
			[]string{"cas 1-9 [] 1 ok", "read 2-3 [1]", "read 4-5 []"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkAppend(context.Background(), lists(t, c.lines...))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.says)
			require.Equal(t, c.verdict == Invalid, len(r.Counterexamples) == 1)
		})
	}
	r := checkAppend(context.Background(), &Run{Ops: []history.Operation{{F: history.OpWrite, Key: "l", Type: history.OK}}})
	require.Equal(t, Unknown, r.Verdict)
}

// drawLists plays clients that append to one list, by a store that now and then does what none may.
func drawLists(random *rand.Rand, wrong float64) []history.Operation {
	type version []int64
	states := []version{{}}
	var ops []history.Operation
	now, next := int64(0), int64(1)
	known := version{}
	for i := range 3 + random.IntN(5) {
		op := history.Operation{ID: int64(i), Process: history.Process(i), Key: "l", Node: "s1", Type: history.OK}
		op.Invoke = now + int64(random.IntN(3))
		op.Return = op.Invoke + 1 + int64(random.IntN(6))
		now += int64(random.IntN(4))
		state := states[len(states)-1]
		if random.Float64() < wrong {
			state = states[random.IntN(len(states))] // an old one
		}
		if random.IntN(2) == 0 {
			op.F, op.Output = history.OpRead, encodeList(state)
			known = state
		} else {
			op.F = history.OpCAS
			set := append(slices.Clone(known), next)
			next++
			op.Input, _ = json.Marshal([2][]int64{known, set})
			switch equal := slices.Equal(known, state); {
			case equal || random.Float64() < wrong:
				states = append(states, set)
				if random.IntN(4) == 0 {
					op.Type, op.Return = history.Info, history.Pending
				} else {
					known = set
				}
			case random.IntN(2) == 0:
				op.Type, op.Error, op.Current = history.Fail, history.CASMismatch, encodeList(state)
				known = state
			default:
				op.Type, op.Return = history.Info, history.Pending
			}
		}
		ops = append(ops, op)
	}
	return ops
}

func encodeList(list []int64) json.RawMessage {
	text, err := json.Marshal(append([]int64{}, list...))
	if err != nil {
		panic(err)
	}
	return text
}

// asRegister is the same history with a number for each list.
func asRegister(ops []history.Operation) []history.Operation {
	numbers := map[string]int64{"[]": 0}
	number := func(list json.RawMessage) json.RawMessage {
		if len(list) == 0 {
			return nil
		}
		n, ok := numbers[string(list)]
		if !ok {
			n = int64(len(numbers))
			numbers[string(list)] = n
		}
		if n == 0 {
			return history.Null
		}
		return history.Int(n)
	}
	same := slices.Clone(ops)
	for i := range same {
		op := &same[i]
		op.Output, op.Current = number(op.Output), number(op.Current)
		if op.F == history.OpCAS {
			var pair [2]json.RawMessage
			if err := json.Unmarshal(op.Input, &pair); err != nil {
				panic(err)
			}
			op.Input = json.RawMessage("[" + string(number(pair[0])) + "," + string(number(pair[1])) + "]")
		}
	}
	return same
}

// A list judged by its versions, and as a register by a search, are judged alike.
func TestListsAreJudgedAsRegistersAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	seeds, counts := seedsOf(t, 3000, 300), map[Verdict]uint64{}
	for i := range seeds {
		ops := drawLists(random, []float64{0, 0.1, 0.4}[i%3])
		got := checkAppend(context.Background(), &Run{Settings: Settings{Workload: "append"}, Ops: ops})
		if got.Verdict == Unknown {
			continue // nobody saw anything
		}
		want := checkLinearizable(context.Background(), &Run{Settings: Settings{Workload: "append"}, Ops: asRegister(ops)})
		if want.Verdict == Unknown {
			continue
		}
		require.Equal(t, want.Verdict, got.Verdict, "history %d\n%s\n%v\n%s", i, got.Summary, want.Counterexamples, describeOps(ops))
		counts[got.Verdict]++
	}
	require.Greater(t, counts[Valid], seeds/15)
	require.Greater(t, counts[Invalid], seeds/15)
}

func describeOps(ops []history.Operation) string {
	var b strings.Builder
	for _, op := range ops {
		fmt.Fprintf(&b, "%s %s %d-%d in %s out %s current %s\n", op.F, op.Type, op.Invoke, op.Return, op.Input, op.Output, op.Current)
	}
	return b.String()
}

func FuzzAppend(f *testing.F) {
	f.Add("cas", "[[1],[1,2]]", "", "read", "", "[1,2]")
	f.Add("cas", "[null,[1]]", "[2]", "cas", "[[1],[1,1]]", "")
	f.Fuzz(func(t *testing.T, f1, in1, out1, f2, in2, out2 string) {
		run := &Run{}
		for i, o := range [][3]string{{f1, in1, out1}, {f2, in2, out2}} {
			run.Ops = append(run.Ops, history.Operation{ID: int64(i), F: history.Op(o[0]), Key: "l", Input: []byte(o[1]), Output: []byte(o[2]), Type: history.OK, Invoke: int64(i), Return: int64(i + 2)})
		}
		r := checkAppend(context.Background(), run)
		require.NotEmpty(t, r.Summary)
		require.Equal(t, r.Verdict == Invalid, len(r.Counterexamples) > 0)
	})
}
