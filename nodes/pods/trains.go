package pods

import (
	"maps"
	"sync"

	"faultline/nodes/faults"
)

// closer is which links Measure takes a closer look at, by a train of datagrams: those that are asked to be
// shaped, their other directions, which a fault of one direction must leave alone, and those that were shaped before,
// until a train over them has met nothing: a heal is measured as its fault was. Its methods may be called
// by many goroutines.
type closer struct {
	mu      sync.Mutex
	sets    int // how often links were asked for
	asked   map[faults.Pair]faults.Link
	healing map[faults.Pair]faults.Link // what was asked of them before
}

// set has links be asked for.
func (c *closer) set(links map[faults.Pair]faults.Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.healing == nil {
		c.healing = map[faults.Pair]faults.Link{}
	}
	for link, state := range c.asked {
		if state.Shaped() && !links[link].Shaped() {
			c.healing[link] = state
		}
	}
	c.asked = maps.Clone(links)
	c.sets++
}

// trains are what to send now, and which of the sets they belong to.
func (c *closer) trains() (trains map[faults.Pair]faults.Train, set int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trains = map[faults.Pair]faults.Train{}
	check := func(link faults.Pair, state faults.Link) {
		if now := c.asked[link]; !now.Shaped() && !now.Drop && !now.Reject {
			trains[link] = state.Train()
			healthy := trains[link]
			healthy.Wait = faults.Link{}.Train().Wait // what is later than that counts as lost
			trains[link] = healthy
		}
	}
	for link, state := range c.healing {
		check(link, state)
	}
	for link, state := range c.asked {
		if state.Shaped() {
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
		if now := c.asked[link]; !now.Shaped() && links[link].Train.Untouched() {
			delete(c.healing, link)
		}
	}
}

// closed are the ports that links are asked to have closed.
func (c *closer) closed() map[faults.Pair]faults.Ports {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[faults.Pair]faults.Ports{}
	for link, state := range c.asked {
		if state.Ports != "" && !state.Drop {
			all[link] = state.Ports
		}
	}
	return all
}
