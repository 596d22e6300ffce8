package checker

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for _, l := range []load{
		{1, 100000, 10, 3, false, 0, 0, 0},
		{1, 10000, 50, 3, true, 0, 0, 0},
		{1, 10000, 50, 20, true, 0, 0, 0},
	} {
		cs := constraintsOf(t, l.history())
		ctx := context.Background()
		t0 := time.Now()
		kept, dropped := prepare(cs)
		_ = dropped
		t1 := time.Now()
		rest := withoutSettled(kept, cs)
		t2 := time.Now()
		uniqueWrites(rest)
		t3 := time.Now()
		ok := guessHolds(rest)
		t4 := time.Now()
		conflicting(ctx, cs)
		t5 := time.Now()
		refuted(ctx, rest)
		t6 := time.Now()
		a, _ := linearize(ctx, rest, nil, widest)
		t7 := time.Now()
		fmt.Printf("%+v prepare %v settled %v unique %v guess %v %v conflicting %v refuted %v jit %v %v\n", l, t1.Sub(t0), t2.Sub(t1), t3.Sub(t2), ok, t4.Sub(t3), t5.Sub(t4), t6.Sub(t5), a, t7.Sub(t6))
	}
}
