package injector

import "time"

// heldPacket waits in the kernel until it is let through.
type heldPacket struct {
	at      time.Duration
	order   uint64 // in which packets came: of two that are due at once the first goes first
	id      uint32
	content []byte // only if it is doubled or changed
	changed bool
	doubled bool
}

func (p heldPacket) before(o heldPacket) bool {
	return p.at < o.at || p.at == o.at && p.order < o.order
}

// held is a binary heap, the packet that is due first in front (Williams, Algorithm 232,
// 1964). It is written out because container/heap boxes every value that it takes.
type held []heldPacket

func (h *held) push(p heldPacket) {
	*h = append(*h, p)
	all := *h
	for i := len(all) - 1; i > 0; {
		parent := (i - 1) / 2
		if !all[i].before(all[parent]) {
			return
		}
		all[i], all[parent] = all[parent], all[i]
		i = parent
	}
}

// pop takes the packet in front; there must be one.
func (h *held) pop() heldPacket {
	all := *h
	first, end := all[0], len(all)-1
	all[0], all[end] = all[end], heldPacket{}
	all = all[:end]
	*h = all
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < end; child++ {
			if all[child].before(all[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		all[i], all[least] = all[least], all[i]
		i = least
	}
}
