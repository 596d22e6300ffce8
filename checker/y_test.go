package checker

import (
	"context"
	"fmt"
	"testing"
)

func testY(t *testing.T) {
	l := load{1, 10000, 10, 3, true, 20, 0, 0}
	cs := constraintsOf(t, l.history())
	kept, _ := prepare(cs)
	s := newScript(withoutSettled(kept, cs))
	names := map[int32]string{}
	for i := range s.acts {
		a := &s.acts[i]
		if a.read != readNothing {
			names[a.saw] = a.constraint.saw.String()
		}
	}
	w := newWalker(context.Background(), s, nil)
	w.most = 64
	w.width = 64
	for w.at < 10015 {
		m := w.moves[w.at]
		if w.at > 9985 {
			a := &w.acts[m.act]
			fmt.Printf("move %d returns=%v %s %s->%s %s maybe=%v slot=%d ret=%d\n", w.at, m.returns, a.constraint.op.F, a.constraint.op.Input, a.constraint.op.Output, a.constraint.op.Error, a.maybe, a.slot, a.ret)
		}
		if m.returns {
			w.end(m.act)
		} else {
			w.begin(m.act)
		}
		if w.at > 9985 {
			fmt.Print("   ", w.now.len(), ": ")
			w.each(func(c []uint64) { fmt.Printf(" %s:%x", names[int32(c[0])], c[1:]) })
			fmt.Println()
		}
		w.at++
	}
}
