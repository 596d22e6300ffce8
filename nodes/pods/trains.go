package pods

import (
	"sync"

	"faultline/nodes/faults"
)

// closer is which links Measure takes a closer look at, by a train of datagrams: those that are asked to be
// shaped, their other directions, which a fault of one direction must leave alone, and those that were shaped before,
// until a train over them has met nothing: a heal is measured as its fault was. Links that stay as they were when other
// conditions change, and were seen so before, are left out then: trains over all links of a WAN would take seconds, and
// be much of its traffic. After a Set that changes nothing all are looked at. Its methods may be called by many goroutines.
type closer struct {
	mu      sync.Mutex
	sets    int // how often conditions were asked for
	asked   faults.Conditions
	all     bool                        // the last of them were as those before
	healing map[faults.Pair]faults.Link // what was asked of them before
	shown   map[faults.Pair]int         // by which of the sets on a train has met what is asked since
}

// set has conditions be asked for.
func (c *closer) set(want faults.Conditions) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.healing == nil {
		c.healing, c.shown = map[faults.Pair]faults.Link{}, map[faults.Pair]int{}
	}
	for link, state := range c.asked.Links {
		now := want.Links[link]
		if state.Shaped() && !now.Shaped() {
			c.healing[link] = state
		}
		if now != state {
			delete(c.shown, link)
		}
	}
	c.all = c.asked.Equal(want)
	c.asked = want.Clone()
	c.sets++
}

// trains are what to send now, and which of the sets they belong to.
func (c *closer) trains() (trains map[faults.Pair]faults.Train, set int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trains = map[faults.Pair]faults.Train{}
	check := func(link faults.Pair, state faults.Link) {
		if now := c.asked.Links[link]; !now.Shaped() && !now.Drop && !now.Reject {
			trains[link] = state.Train()
			healthy := trains[link]
			healthy.Wait = faults.Link{}.Train().Wait // what is later than that counts as lost
			trains[link] = healthy
		}
	}
	for link, state := range c.healing {
		check(link, state)
	}
	for link, state := range c.asked.Links {
		switch since, shown := c.shown[link]; {
		case (state.Drop || state.Reject) && state.Delay+state.Jitter > 0:
			// What gets through a cut that is none is late, and would not be there yet when its receiver is asked.
			trains[link] = faults.Link{Delay: state.Delay, Jitter: state.Jitter}.Train()
		case !state.Shaped(), shown && since < c.sets && !c.all:
		default:
			trains[link] = state.Train()
			check(faults.Pair{From: link.To, To: link.From}, state)
		}
	}
	return trains, c.sets
}

// saw takes note of what trains met that were sent for a set.
func (c *closer) saw(set int, links map[faults.Pair]faults.LinkMeasurement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if set != c.sets {
		return
	}
	for link := range c.healing {
		if now := c.asked.Links[link]; !now.Shaped() && links[link].Train.Untouched() {
			delete(c.healing, link)
		}
	}
	for link, state := range c.asked.Links {
		if _, shown := c.shown[link]; !shown && state.Shaped() && links[link].Train.Shows(state) {
			c.shown[link] = set
		}
	}
}

// closed are the ports that links are asked to have closed.
func (c *closer) closed() map[faults.Pair]faults.Ports {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[faults.Pair]faults.Ports{}
	for link, state := range c.asked.Links {
		if state.Ports != "" && !state.Drop {
			all[link] = state.Ports
		}
	}
	return all
}
