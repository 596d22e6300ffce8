package faultline

import "math/rand/v2"

// mostSeed keeps drawn seeds short enough to be read out and typed.
const mostSeed = 1_000_000_000

// Drawn is the scenario with a seed: its own or, if it has none, one that nobody has tried.
// A seed is written down with the run, so that it comes back.
func (s Scenario) Drawn() Scenario {
	if s.Seed == 0 {
		s.Seed = 1 + rand.Uint64N(mostSeed)
	}
	return s
}
