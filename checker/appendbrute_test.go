package checker

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

// bruteLists reports whether a tiny history of one list is linearizable, by trying every order, and every subset of what may
// not have happened. It shares no code with the checker.
func bruteLists(ops []history.Operation) bool {
	done := make([]bool, len(ops))
	var try func(state string) bool
	try = func(state string) bool {
		first, open := int64(history.Pending), false
		for i, op := range ops {
			if !done[i] && op.Type == history.OK || !done[i] && op.Current != nil {
				open = true
				first = min(first, op.Return)
			}
		}
		if !open {
			return true
		}
		for i, op := range ops {
			if done[i] || op.Invoke > first {
				continue
			}
			var list []json.RawMessage
			if err := json.Unmarshal([]byte(state), &list); err != nil {
				panic(err)
			}
			next, possible := state, true
			switch {
			case op.F == history.OpRead:
				possible = string(op.Output) == state
			case op.Type == history.Fail:
				possible = op.Current != nil && string(op.Current) == state
			case op.F == history.OpAppend:
				next = string(encodeRaw(append(slices.Clone(list), op.Input)))
			default:
				var pair [2]json.RawMessage
				if err := json.Unmarshal(op.Input, &pair); err != nil {
					panic(err)
				}
				possible, next = string(pair[0]) == state, string(pair[1])
			}
			if !possible {
				continue
			}
			done[i] = true
			if try(next) {
				return true
			}
			done[i] = false
		}
		return false
	}
	return try("[]")
}

func encodeRaw(list []json.RawMessage) json.RawMessage {
	text, err := json.Marshal(append([]json.RawMessage{}, list...))
	if err != nil {
		panic(err)
	}
	return text
}

// drawAppends plays clients that append to one list in both ways, by a store that now and then does what none may: it
// answers from an old state, forgets what it acknowledged or comes to it late, appends twice, compares with nothing, or does
// what it said it would not.
func drawAppends(random *rand.Rand, wrong float64) []history.Operation {
	states := [][]int64{{}}
	var ops []history.Operation
	var known, late []int64
	now := int64(0)
	for i := range 4 + random.IntN(4) {
		element := int64(i + 1)
		op := history.Operation{ID: int64(i), Process: history.Process(i), Key: "l", Node: "s1", Type: history.OK, Invoke: now + int64(random.IntN(3))}
		op.Return = op.Invoke + 1 + int64(random.IntN(6))
		now += int64(random.IntN(4))
		state := states[len(states)-1]
		bad := random.Float64() < wrong
		if len(late) > 0 && random.IntN(3) == 0 {
			state = append(slices.Clone(state), late...)
			states, late = append(states, state), nil
		}
		if bad && random.IntN(2) == 0 {
			state = states[random.IntN(len(states))]
		}
		unsure := func() {
			if random.IntN(4) == 0 {
				op.Type, op.Return = history.Info, history.Pending
			}
		}
		switch random.IntN(5) {
		case 0, 1:
			op.F, op.Output, known = history.OpRead, encodeList(state), state
		case 2:
			op.F = history.OpCAS
			set := append(slices.Clone(known), element)
			op.Input, _ = json.Marshal([2]json.RawMessage{encodeList(known), encodeList(set)})
			if bad && random.IntN(2) == 0 {
				states = append(states, append(slices.Clone(state), element))
				unsure()
			} else if slices.Equal(known, state) || bad {
				states, known = append(states, set), set
				unsure()
			} else {
				op.Type, op.Error, op.Current, known = history.Fail, history.CASMismatch, encodeList(state), state
			}
		default:
			op.F, op.Input = history.OpAppend, history.Int(element)
			set := append(slices.Clone(state), element)
			switch {
			case bad && random.IntN(3) == 0:
				set = append(set, element)
			case bad && random.IntN(3) == 0:
				set, late = state, append(late, element)
			case bad && random.IntN(2) == 0:
				set = state
			case bad:
				op.Type, op.Error = history.Fail, history.NoLeader
			}
			if op.Type == history.OK {
				unsure()
			}
			if op.Type != history.Info || random.IntN(2) == 0 {
				states = append(states, set)
			}
		}
		ops = append(ops, op)
	}
	return ops
}

// Lists that the system appends to are judged as a search of all orders judges them.
func TestAppendsAreJudgedAsByBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	seeds, counts := seedsOf(t, 6000, 1000), map[Verdict]uint64{}
	for i := range seeds {
		ops := drawAppends(random, []float64{0, 0.1, 0.4}[i%3])
		got := checkAppend(context.Background(), &Run{Settings: Settings{Workload: "append"}, Ops: ops})
		if got.Verdict == Unknown {
			continue // nobody saw anything
		}
		want := Invalid
		if bruteLists(ops) {
			want = Valid
		}
		require.Equal(t, want, got.Verdict, "history %d\n%s\n%s", i, got.Summary, describeOps(ops))
		counts[got.Verdict]++
	}
	require.Greater(t, counts[Valid], seeds/6)
	require.Greater(t, counts[Invalid], seeds/6)
}
