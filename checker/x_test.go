package checker

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for _, l := range []load{
		{1, 1000, 10, 3, true, 0, 0, 0}, {1, 10000, 10, 3, true, 0, 0, 0}, {1, 1000, 50, 3, true, 0, 0, 0}, {1, 10000, 50, 3, true, 0, 0, 0},
		{1, 10000, 50, 20, true, 0, 0, 0},
		{1, 1000, 50, 3, true, 0, 0, 20}, {1, 10000, 50, 3, true, 0, 0, 20},
		{1, 1000, 10, 3, true, 20, 0, 0}, {1, 10000, 10, 3, true, 20, 0, 0}, {1, 1000, 50, 3, true, 20, 0, 0}, {1, 10000, 50, 3, true, 20, 0, 0},
		{1, 10000, 10, 3, false, 20, 0, 0}, {1, 10000, 50, 3, false, 20, 0, 0},
		{1, 10000, 10, 3, false, 0, 5, 0}, {1, 1000, 10, 3, false, 0, 5, 0}, {1, 1000, 20, 3, false, 0, 5, 0},
		{1, 1000, 10, 20, false, 0, 5, 0},
	} {
		cs := constraintsOf(t, l.history())
		kept, dropped := prepare(cs)
		n := len(kept)
		rest := withoutSettled(kept, cs)
		left := len(hiding(rest))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		t0 := time.Now()
		a, why := decide(ctx, cs, nil)
		t1 := time.Now()
		j, why1 := linearize(ctx, rest, nil, widest)
		t2 := time.Now()
		cancel()
		ctx, cancel = context.WithTimeout(context.Background(), 2*time.Second)
		b, why2 := search(ctx, cs, nil)
		cancel()
		fmt.Printf("%+v kept %d dropped %d hiding %d left %d | decide %v %s %v | jit %v %s %v | porc %v %s %v\n", l, n, len(dropped), len(hiding(kept)), left, a, why, t1.Sub(t0), j, why1, t2.Sub(t1), b, why2, time.Since(t2))
	}
}
