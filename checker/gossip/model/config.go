package model

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"faultline/checker/gossip"
)

// Config is what to play.
type Config struct {
	Timing   gossip.Timing
	Members  int           // who are there at the beginning, and know each other
	Joiners  int           // who may join later; their numbers follow those of Members
	Loss     float64       // of each packet
	Delay    time.Duration // one way
	Duration time.Duration
	Seed     uint64
	Actions  []Action
	// MemoryMB limits what the views of those who change may take: 18 bytes and more for each of them and each member. 0: 1,500.
	MemoryMB int
}

// Kind is what an action does.
type Kind string

const (
	Crash     Kind = "crash"     // its process ends
	Pause     Kind = "pause"     // its process stops, For so long; packets wait
	Join      Kind = "join"      // a joiner starts, and exchanges its state with member With
	Leave     Kind = "leave"     // says that it leaves, and ends when it has sent that
	Update    Kind = "update"    // its tags change
	Partition Kind = "partition" // the members below this one are cut off from the others
	Heal      Kind = "heal"
	Impair    Kind = "impair" // its links lose, In of what it receives and Out of what it sends
)

// Action is what happens to one member.
type Action struct {
	At      time.Duration
	Kind    Kind
	Member  int
	With    int
	For     time.Duration
	In, Out float64
}

// DutyCycle pauses members for a while, again and again, until the end: Lifeguard's experiment.
func DutyCycle(members []int, pause, run, from, until time.Duration) (all []Action) {
	for at := from; at < until; at += pause + run {
		for _, m := range members {
			all = append(all, Action{At: at, Kind: Pause, Member: m, For: pause})
		}
	}
	return all
}

func (c Config) validate() error {
	all := []error{c.Timing.Validate()}
	bad := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	total := c.Members + c.Joiners
	bad(c.Members < 2 || c.Joiners < 0 || total > 1<<24, "members %d and joiners %d: there must be 2 to %d", c.Members, c.Joiners, 1<<24)
	bad(!(c.Loss >= 0 && c.Loss < 1), "loss %v: it must be at least 0 and below 1", c.Loss)
	bad(c.Delay < 0, "delay %v: it must not be negative", c.Delay)
	bad(c.Duration <= 0 || c.Duration > 1000*time.Hour, "duration %v: it must be positive", c.Duration)
	for _, a := range c.Actions {
		bad(a.Member < 0 || a.Member >= total || a.With < 0 || a.With >= total, "%s at %v: no member %d", a.Kind, a.At, a.Member)
		bad(!slices.Contains([]Kind{Crash, Pause, Join, Leave, Update, Partition, Heal, Impair}, a.Kind), "no action %q", a.Kind)
		bad(a.Kind == Join && a.Member < c.Members, "member %d is there from the beginning", a.Member)
	}
	return errors.Join(all...)
}

// Outcome is what became of one crash, leave, join or update.
type Outcome struct {
	Action
	Suspected  time.Duration   // of a crash: since then, by the first; gossip.Never
	First      time.Duration   // known at the first other member
	Everywhere time.Duration   // known at all members that were up; gossip.Never
	Times      []time.Duration // when each member knew, sorted: the curve

	inc uint32
}

// Result is what was seen.
type Result struct {
	Outcomes []Outcome

	// Deaths that were declared of members that were up, running and not cut off from the observer, and those of them that were
	// declared by members that no action ever paused or impaired. Suspicions are of the same members.
	FalseDeaths, FalseDeathsAtHealthy, FalseSuspicions int

	Packets, Bytes float64 // sent by a member in a second
	Quality        Quality
}

// Quality has the figures of Chen, Toueg and Aguilera, over all pairs of observer and member.
type Quality struct {
	Detection  gossip.Quantiles // T_D: from a crash to its death at an observer
	Recurrence time.Duration    // T_MR: between two mistakes of a pair, on average; gossip.Never
	Mistake    time.Duration    // T_M: how long one lasts
	Accuracy   float64          // P_A: the share of time in which a live member is held alive
}
