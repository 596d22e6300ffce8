package checker

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// brute decides by trying every order, and every subset of what may not have happened,
// whether operations are linearizable. It shares no code with the checker.
func brute(ops []history.Operation) bool { return bruteAmong(ops, ops) }

// bruteAmong is brute of a part of a history. What is said of a value that others write, who had begun by the end
// of the part, is not judged.
func bruteAmong(ops, all []history.Operation) bool {
	partial := len(ops) < len(all)
	names := []string{"null"}
	written := []bool{true}
	id := func(name string, isWritten bool) int {
		i := slices.Index(names, name)
		if i < 0 {
			i = len(names)
			names, written = append(names, name), append(written, false)
		}
		written[i] = written[i] || isWritten
		return i
	}
	end := int64(0)
	for _, op := range ops {
		if end = max(end, op.Invoke); op.Return != history.Pending {
			end = max(end, op.Return)
		}
	}
	elsewhere := map[string]bool{}
	for _, op := range all {
		switch {
		case op.Invoke > end || op.Type == history.Fail:
		case op.F == "write":
			elsewhere[string(op.Input)] = true
		case op.F == "cas":
			elsewhere[pairOf(op)[1]] = true
		}
	}
	todo := make([]attempt, len(ops))
	for i, op := range ops {
		todo[i] = attempt{F: op.F, Type: op.Type, from: op.Invoke, to: op.Return, refused: op.Error == "cas-mismatch", current: -1}
		o := &todo[i]
		switch op.F {
		case "read":
			if op.Type == history.OK {
				o.saw = id(string(op.Output), false)
			}
		case "write":
			o.wrote = id(string(op.Input), true)
		case "cas", "delete-cas":
			o.saw, o.wrote = id(pairOf(op)[0], false), id(pairOf(op)[1], op.Type != history.Fail)
			if len(op.Current) > 0 {
				o.current = id(string(op.Current), false)
			}
		}
	}
	failed := make([]bool, len(names)<<len(ops)) // by what is left, and the state
	var try func(left uint, state int) bool
	try = func(left uint, state int) bool {
		if left == 0 {
			return true
		}
		at := int(left)*len(names) + state
		if failed[at] {
			return false
		}
		first := int64(history.Pending)
		for i := range todo {
			if left>>i&1 != 0 {
				first = min(first, todo[i].to)
			}
		}
		for i := range todo {
			if left>>i&1 == 0 || todo[i].from > first {
				continue
			}
			without, with := todo[i].apply(state, func(v int) bool { return v == state || partial && !written[v] && elsewhere[names[v]] }, partial)
			if without >= 0 && try(left&^(1<<i), without) || with >= 0 && try(left&^(1<<i), with) {
				return true
			}
		}
		failed[at] = true
		return false
	}
	return try(1<<len(ops)-1, 0)
}

// attempt is an operation with its values numbered; 0 is null.
type attempt struct {
	F                   history.Op
	Type                history.Type
	from, to            int64
	saw, wrote, current int // current is -1 if it is not told
	refused             bool
}

// apply gives the states to which an operation can lead: as if it had not happened, and as if it had; -1 is none.
func (o *attempt) apply(state int, met func(int) bool, partial bool) (without, with int) {
	compares := o.F == "cas" || o.F == "delete-cas"
	switch {
	case o.Type == history.Fail && !o.refused, o.F == "read" && o.Type == history.Info:
		return state, -1
	case o.F == "read":
		if met(o.saw) {
			return state, -1
		}
	case !compares && o.Type == history.Info:
		return state, o.wrote
	case !compares:
		return -1, o.wrote
	case o.Type == history.Fail && o.current >= 0:
		if met(o.current) && o.current != o.saw {
			return state, -1
		}
	case o.Type == history.Fail:
		if partial || state != o.saw {
			return state, -1
		}
	case o.Type == history.Info:
		if met(o.saw) {
			return state, o.wrote
		}
		return state, -1
	case met(o.saw), o.F == "delete-cas" && state == 0: // where there is nothing, nothing is to be deleted
		return -1, o.wrote
	}
	return -1, -1
}

func pairOf(op history.Operation) [2]string {
	parts := strings.Split(strings.Trim(string(op.Input), "[]"), ",")
	return [2]string{parts[0], parts[1]}
}

// family is what random histories are made of.
type family struct {
	name    string
	values  int // written values are from 1 to values; 0: none is written twice
	lost    int // of a hundred changes, have no answer
	opaque  int // of a hundred refused compares, hide what they found
	deletes int // of a hundred changes, delete
}

var families = []family{
	{"plain", 0, 10, 0, 0},
	{"opaque", 0, 25, 100, 0},
	{"deletes", 0, 25, 50, 40},
	{"repeated", 3, 25, 50, 0},
	{"open", 0, 60, 50, 0},
	{"all", 2, 40, 50, 20},
}

// randomHistory is of the families that there always were.
func randomHistory(seed uint64, n int, unique bool) []history.Operation {
	f := family{values: 3, lost: 25, opaque: 50}
	if unique {
		f.values = 0
	}
	return f.history(seed, n)
}

// history simulates a register with n operations and then, half of the time, lies
// once or twice.
func (f family) history(seed uint64, n int) []history.Operation {
	r := rand.New(rand.NewPCG(seed, 1))
	var ops []history.Operation
	state, next := "null", 1
	fresh := func() string {
		if f.values == 0 {
			next++
			return string(history.Int(int64(next - 1)))
		}
		return string(history.Int(int64(1 + r.IntN(f.values))))
	}
	known := []string{"null"}
	width := 1 + r.IntN(12)
	for i := range n {
		at := int64(3 * i)
		op := history.Operation{ID: int64(i), Process: history.Process(i), Key: "k", Type: history.OK,
			Invoke: max(0, at-int64(r.IntN(width))), Return: at + int64(r.IntN(width))}
		lost := r.IntN(100) < f.lost
		happens := !lost || r.IntN(2) == 0
		deletes := r.IntN(100) < f.deletes
		switch k := r.IntN(10); {
		case k < 4:
			op.F, op.Output, lost = "read", []byte(state), false
		case k < 7 && deletes:
			op.F = "delete"
			if happens {
				state = "null"
			}
		case k < 7:
			op.F, op.Input = "write", []byte(fresh())
			known = append(known, string(op.Input))
			if happens {
				state = string(op.Input)
			}
		default:
			op.F = "cas"
			old := state
			if r.IntN(3) == 0 {
				old = known[r.IntN(len(known))]
			}
			v := "null"
			if op.F = "delete-cas"; !deletes {
				op.F, v = "cas", fresh()
			}
			op.Input = []byte("[" + old + "," + v + "]")
			switch {
			case old == state && happens:
				state = v
				known = append(known, v)
			case old != state && !lost && (op.F == "cas" || state != "null" || r.IntN(2) == 0):
				op.Type, op.Error = history.Fail, "cas-mismatch"
				if r.IntN(100) >= f.opaque {
					op.Current = []byte(state)
				}
			}
		}
		if lost {
			op.Type, op.Return = history.Info, history.Pending
		}
		ops = append(ops, op)
	}
	for range r.IntN(3) {
		op := &ops[r.IntN(len(ops))]
		switch {
		case op.F == "read":
			op.Output = []byte(known[r.IntN(len(known))])
		case op.Type == history.Fail && len(op.Current) > 0:
			op.Current = []byte(known[r.IntN(len(known))])
		case op.Return != history.Pending:
			op.Invoke += int64(r.IntN(10))
			op.Return = op.Invoke + int64(r.IntN(5))
		}
	}
	sortByInvoke(ops)
	return ops
}

func TestTheVerdictIsThatOfBruteForce(t *testing.T) {
	ctx := context.Background()
	seeds := seedsOf(t, 6000, 600)
	for _, unique := range []bool{true, false} {
		good, bad, shortcuts, searched := 0, 0, 0, 0
		for seed := range seeds {
			ops := randomHistory(seed, 3+int(seed%6), unique)
			constraints := constraintsOf(t, ops)
			want := legal
			if !brute(ops) {
				want = illegal
			}
			bare, _ := search(ctx, constraints, nil)
			require.Equal(t, want, bare, "without preparation, seed %d, unique %v: %s", seed, unique, encode(ops))
			got, _ := decide(ctx, constraints, nil)
			require.Equal(t, want, got, "with preparation, seed %d, unique %v: %s", seed, unique, encode(ops))
			if want == legal {
				good++
			} else {
				bad++
			}
			if unique {
				kept, _ := prepare(constraints)
				if guessHolds(kept) {
					require.Equal(t, legal, want, "certified, seed %d: %s", seed, encode(ops))
					shortcuts++
				} else if conflicting(ctx, constraints) || refuted(ctx, kept) {
					require.Equal(t, illegal, want, "in conflict, seed %d: %s", seed, encode(ops))
					shortcuts++
				} else if !hides(constraints) {
					searched++
				}
			}
		}
		t.Logf("unique %v: %d linearizable, %d not; %d by shortcuts, %d without hidden values had to be searched", unique, good, bad, shortcuts, searched)
		require.Greater(t, uint64(good), seeds/8)
		require.Greater(t, uint64(bad), seeds/8)
	}
}

func TestPreparationNeverChangesTheVerdict(t *testing.T) {
	ctx := context.Background()
	for seed := range seedsOf(t, 1500, 150) {
		ops := randomHistory(seed, 20+int(seed%20), true)
		constraints := constraintsOf(t, ops)
		want, _ := search(ctx, constraints, nil)
		got, _ := decide(ctx, constraints, nil)
		require.Equal(t, want, got, "seed %d: %s", seed, encode(ops))
	}
}

func TestAProjectionOfALinearizableHistoryIsLinearizable(t *testing.T) {
	ctx := context.Background()
	for seed := range seedsOf(t, 3000, 300) {
		unique := seed%2 == 0
		ops := randomHistory(seed, 8, unique)
		constraints := constraintsOf(t, ops)
		if a, _ := search(ctx, constraints, nil); a != legal {
			continue
		}
		part := project(constraints, func(v value) bool { return (uint64(v.n)*2654435761+seed)>>3%2 == 0 })
		a, _ := search(ctx, part, nil)
		require.Equal(t, legal, a, "seed %d: %s", seed, encode(ops))
	}
}

func TestShrinkLeavesAProofAndNothingElse(t *testing.T) {
	ctx := context.Background()
	sizes := map[int]int{}
	for seed := range seedsOf(t, 3000, 300) {
		unique := seed%4 != 0
		ops := randomHistory(seed, 4+int(seed%12), unique)
		constraints := constraintsOf(t, ops)
		if a, _ := decide(ctx, constraints, nil); a != illegal {
			continue
		}
		small := shrink(ctx, constraints, nil)
		a, _ := search(ctx, small, nil)
		require.Equal(t, illegal, a, "seed %d: %s", seed, encode(ops))
		sizes[len(small)]++

		opaque := hides(small)
		var proof []history.Operation
		for _, f := range small {
			proof = append(proof, *f.op)
		}
		if opaque {
			require.False(t, brute(proof), "not a proof, seed %d: %s", seed, encode(proof))
		} else {
			require.False(t, bruteAmong(proof, ops), "not a proof, seed %d: %s", seed, encode(proof))
		}
		for i := range small {
			if f := small[i]; f.read != readNothing && !f.writes {
				rest, _ := search(ctx, slices.Delete(slices.Clone(small), i, i+1), nil)
				require.Equal(t, legal, rest, "operation %d can be left out, seed %d: %s", f.op.ID, seed, encode(proof))
			}
		}
		why, _ := explain(small, pointers(ops))
		require.NotEmpty(t, why)
	}
	t.Logf("operations in the proofs: %v", sizes)
}

func pointers(ops []history.Operation) (all []*history.Operation) {
	for i := range ops {
		all = append(all, &ops[i])
	}
	return all
}

func FuzzVerdict(f *testing.F) {
	f.Add(uint64(1), uint8(6), true)
	f.Add(uint64(2), uint8(7), false)
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, unique bool) {
		ops := randomHistory(seed, 1+int(n%8), unique)
		constraints := constraintsOf(t, ops)
		got, _ := decide(context.Background(), constraints, nil)
		require.Equal(t, brute(ops), got == legal, "%s", encode(ops))
	})
}
