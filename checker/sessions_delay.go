package checker

import (
	"fmt"

	"faultline/workloads/history"
)

// judgeDelays finds acquires that succeeded within the lock delay of a session. When a session is
// invalidated, by a destroy as well as by its TTL, and whether it releases or deletes its keys, these
// cannot be acquired for its lock delay (Consul's documentation of sessions). It returns how many
// ends with a lock delay were looked at, too.
//
// A correct system may let one through that other rules forbid, so three things must be certain:
//
//   - The acquire was asked for after an answer had said that the session is gone. Consul's leader looks for a delay
//     before it proposes an acquire, when the end of the session may still be on its way.
//   - It was answered before the delay was over, if that began at the earliest instant at
//     which the session can have ended.
//   - One leader led all the time. Delays are in the memory of each server, and who restarts from a
//     snapshot, or is sent one, and is then elected, does not know of them.
func judgeDelays(k *lockKey, l leaders) (why string, ops []*history.Operation, judged int) {
	u := unplacedOf(k)
	all := versionsOf(k)
	for i := 1; i < len(all); i++ {
		was, is := &all[i-1], &all[i]
		h := was.holder
		if h == nil || h.delay == 0 || is.op.F != history.OpAcquire || is.holder == h || by(u.released, h, is.op.Return) || h.ended == nil {
			continue
		}
		if h.ended.Return >= is.op.Invoke || !l.oneFrom(h.endsFrom(), is.op.Return) {
			continue
		}
		judged++
		if over := h.endsFrom() + h.delay; is.op.Return < over && why == "" {
			why = fmt.Sprintf("session %s acquired it by %s, in the lock delay of session %s, which is %s and cannot have begun before %s",
				brief(is.holder.id), clock(is.op.Return), brief(h.id), ms(h.delay), clock(h.endsFrom()))
			ops = []*history.Operation{was.op, h.ended, is.op}
		}
	}
	return why, ops, judged
}
