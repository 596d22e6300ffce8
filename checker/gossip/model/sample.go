package model

import "time"

// Sample is what many small runs show.
type Sample struct {
	Updates     []time.Duration // known everywhere, of those that gossip has spread
	Late        int             // updates that push/pull had to finish
	Suspected   []time.Duration // a crash, by the first
	First, Dead []time.Duration // a death, at the first and everywhere
	FalseDeaths int
	Bytes       float64 // sent by a member in a second, on average
}

// Samples plays a change of tags and, four probe intervals later, a crash, in each of so many runs of sixty intervals. Seeds follow
// that of the configuration; its actions and length are not used.
func Samples(c Config, runs int) (Sample, error) {
	var s Sample
	interval := c.Timing.ProbeInterval
	late := max(15*c.Timing.GossipInterval, 3*interval)
	seed := c.Seed
	for run := range runs {
		c.Seed, c.Duration = seed+uint64(run), 60*interval
		begin := time.Duration(run%97) * interval / 97 // not always at the same phase
		c.Actions = []Action{{At: begin, Kind: Update, Member: 1}, {At: begin + 4*interval, Kind: Crash, Member: 0}}
		r, err := Run(c)
		if err != nil {
			return s, err
		}
		update, crash := r.Outcomes[0], r.Outcomes[1]
		if update.Everywhere > late {
			s.Late++
		} else {
			s.Updates = append(s.Updates, update.Everywhere)
		}
		s.Suspected, s.First, s.Dead = append(s.Suspected, crash.Suspected), append(s.First, crash.First), append(s.Dead, crash.Everywhere)
		s.FalseDeaths += r.FalseDeaths
		s.Bytes += r.Bytes / float64(runs)
	}
	return s, nil
}
