package checker

import (
	"fmt"

	"faultline/workloads/history"
)

// judgeLife holds the life of a session against what its promise allows:
//
//   - Dead is for good. What was asked for after an answer said that the session is gone (a good
//     destroy, a no-session) shows it alive no more: no renewal, acquire or release of it
//     succeeds, and no read finds it as a holder. So a session that ends frees all its keys, at once.
//   - It is not refused while it must live: before the TTL after the sending of its last good renewal, or
//     of a later proof of its life, unless somebody had asked for its end.
//   - It runs out, see [lockRecord.runOut].
func judgeLife(s *lockSession) (why string, ops []*history.Operation) {
	switch {
	case s.ended != nil && s.proof.Invoke > s.ended.Return:
		return fmt.Sprintf("session %s had ended by %s, when %s, and %s", brief(s.id), clock(s.ended.Return), saysGone(s.ended), showsAlive(s.proof)),
			[]*history.Operation{s.ended, s.proof}
	case s.refused != nil && s.refused.Return < s.endsFrom():
		text := fmt.Sprintf("session %s was gone at %s, when %s, though nobody had ended it", brief(s.id), clock(s.refused.Return), saysGone(s.refused))
		return fmt.Sprintf("%s, and the %s that was sent at %s made it good until %s", text, s.basis.F, clock(s.basis.Invoke), clock(s.goodUntil)),
			[]*history.Operation{s.basis, s.refused}
	case s.outlives != nil:
		last := s.renewals[len(s.renewals)-1]
		return fmt.Sprintf("session %s must have run out: its TTL is %s, and nobody could renew it any more; and %s", brief(s.id), ms(s.ttl), showsAlive(s.outlives)),
			[]*history.Operation{last, s.outlives}
	}
	return "", nil
}

func saysGone(op *history.Operation) string {
	if op.F == history.OpDestroy && op.Type == history.OK {
		return "its destroy was answered"
	}
	return fmt.Sprintf("its %s was answered with %s", op.F, op.Error)
}

func showsAlive(op *history.Operation) string {
	if op.F == history.OpRead {
		return fmt.Sprintf("a read of lock %s that was asked for at %s still found it as the holder", op.Key, clock(op.Invoke))
	}
	return fmt.Sprintf("its later %s, asked for at %s, succeeded", op.F, clock(op.Invoke))
}

// runOut finds when sessions must have run out for want of renewals. Consul lets one live for up to
// about twice its TTL after the last renewal, a new leader gives it its full time again, and what
// clients wait for is due within Settings.RecoverWithin of the last heal. So a session is gone
//
//	2 TTL + RecoverWithin after its last renewal, or the last heal if that is later
//
// if one leader led from then on. Renewals whose fate nobody knows may come at any time, so
// their sessions never have to.
func (r *lockRecord) runOut(run *Run, l leaders) {
	if len(run.Ops) == 0 {
		return
	}
	healed, _, err := lastHeal(run)
	bound := int64(run.Settings.RecoverWithin)
	if err != nil || bound == 0 || len(excuse(run)) > 0 {
		return
	}
	end := runEnd(run)
	for _, s := range r.order {
		last := healed
		for _, op := range s.renewals {
			last = max(last, op.Return)
		}
		if last == history.Pending || last > end-2*s.ttl-bound {
			continue
		}
		due := last + 2*s.ttl + bound
		if !l.oneFrom(last, due) {
			continue
		}
		s.gone = min(s.gone, due)
		if s.proof.Invoke > due {
			s.outlives = s.proof
		}
	}
}
