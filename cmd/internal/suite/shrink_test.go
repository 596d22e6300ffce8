package suite

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/checker"
	"faultline/nemesis"
)

func TestViolationsOfAClass(t *testing.T) {
	found := func(names ...string) (o faultline.Outcome) {
		o.Verdict = checker.Valid
		for _, name := range []string{"raft", "linearizable", "index"} {
			r := checker.Result{Checker: name, Verdict: checker.Valid}
			if slices.Contains(names, name) {
				r.Verdict, o.Verdict = checker.Invalid, checker.Invalid
			}
			o.Results = append(o.Results, r)
		}
		return o
	}
	v := ViolationOf(found("raft", "linearizable"))
	require.Equal(t, Violation{"linearizable", "raft"}, v)
	require.True(t, v.Same(found("raft")))
	require.False(t, v.Same(found("index")))
	require.False(t, v.Same(found()))
	r := Repetition{v, []faultline.Outcome{found("raft"), found("index"), found(), {Verdict: checker.Unknown}}}
	require.Equal(t, "[linearizable raft] came back in 1 of 4 runs: 25 %, by 95 % between 5 and 70 %; 1 invalid otherwise, 1 valid, 1 unknown", r.String())
}

const twelve = `topology: dc1-5
time-limit: 2m
steps:
  - {at: 1s, for: 3s, fault: pause, target: [dc1-s1]}
  - {at: 6s, for: 3s, fault: link, target: all, delay: 10ms}
  - {at: 11s, for: 3s, fault: kill, target: [dc1-s2]}
  - {at: 16s, for: 3s, fault: pause, target: [dc1-s3]}
  - {at: 21s, for: 8s, fault: partition, target: [dc1-s1, dc1-s4]}
  - {at: 26s, for: 3s, fault: pause, target: [dc1-s4]}
  - {at: 31s, for: 3s, fault: kill, target: [dc1-s5]}
  - {at: 36s, for: 3s, fault: kill, target: [dc1-s1]}
  - {at: 41s, for: 3s, fault: pause, target: [dc1-s2]}
  - {at: 46s, for: 3s, fault: kill, target: [dc1-s3]}
  - {at: 51s, for: 3s, fault: pause, target: [dc1-s1]}
  - {at: 56s, for: 3s, fault: kill, target: [dc1-s2]}
`

// needs plays scenarios that show the violation if s1 is cut off and s5 is killed after that.
func needs(t *testing.T, chance func() bool) *Shrinking {
	return &Shrinking{
		Tries: 3,
		Valid: func(context.Context, faultline.Scenario) error { return nil },
		Play: func(_ context.Context, s faultline.Scenario) (bool, error) {
			cut := slices.IndexFunc(s.Steps, func(s nemesis.Step) bool {
				return s.Name() == "partition" && slices.Contains(s.Target.Names, "dc1-s1") && s.For >= 2*time.Second
			})
			dead := slices.IndexFunc(s.Steps, func(s nemesis.Step) bool {
				return s.Name() == "kill" && slices.Contains(s.Target.Names, "dc1-s5")
			})
			return cut >= 0 && dead > cut && s.Concurrency >= 3 && chance(), nil
		},
	}
}

func always() bool { return true }

func TestShrink(t *testing.T) {
	of, err := faultline.ParseScenario("s.yaml", []byte(twelve))
	require.NoError(t, err)
	s := needs(t, always)
	small, err := s.Shrink(t.Context(), of)
	require.NoError(t, err)
	require.Len(t, small.Steps, 2)
	require.Equal(t, []string{"dc1-s1"}, small.Steps[0].Target.Names)
	require.Equal(t, 2*time.Second, small.Steps[0].For)
	require.Equal(t, time.Second, small.Steps[0].At)
	require.Equal(t, 3, small.Concurrency)
	require.Less(t, small.TimeLimit, 20*time.Second)
	require.Less(t, s.Plays(), 80)
	again, err := faultline.ParseScenario("s.yaml", []byte(small.String()))
	require.NoError(t, err)
	require.Equal(t, small.String(), again.String())
}

// A violation that shows in half of the runs is not lost on the way.
func TestShrinkWhatShowsNowAndThen(t *testing.T) {
	of, err := faultline.ParseScenario("s.yaml", []byte(twelve))
	require.NoError(t, err)
	turn := 0
	small, err := needs(t, func() bool { turn++; return turn%2 == 0 }).Shrink(t.Context(), of)
	require.NoError(t, err)
	require.Len(t, small.Steps, 2)
}

func TestShrinkPassesOverWhatCannotBePlayed(t *testing.T) {
	of, err := faultline.ParseScenario("s.yaml", []byte(twelve))
	require.NoError(t, err)
	s := needs(t, always)
	s.Valid = func(_ context.Context, s faultline.Scenario) error {
		if len(s.Steps) < 3 {
			return errors.New("too few")
		}
		return nil
	}
	small, err := s.Shrink(t.Context(), of)
	require.NoError(t, err)
	require.Len(t, small.Steps, 3)
}

func TestShrinkEndsInTime(t *testing.T) {
	of, err := faultline.ParseScenario("s.yaml", []byte(twelve))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s := needs(t, always)
	play := s.Play
	s.Play = func(ctx context.Context, c faultline.Scenario) (bool, error) {
		if s.Plays() == 15 {
			cancel()
		}
		return play(ctx, c)
	}
	small, err := s.Shrink(ctx, of)
	require.NoError(t, err, "the smallest so far")
	require.Less(t, len(small.Steps), 12)

	s.Play = func(context.Context, faultline.Scenario) (bool, error) {
		return false, errors.New("the harness failed")
	}
	_, err = s.Shrink(t.Context(), of)
	require.ErrorContains(t, err, "the harness failed")
}
