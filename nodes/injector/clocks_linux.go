package injector

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"faultline/nodes/faults"
	"faultline/nodes/injector/clock"
)

// clocks is what the clocks of the node's processes show. They are patched only while that
// is not the truth.
type clocks struct {
	processes processes
	asked     faults.Clock
	want      clock.Setting
	open      map[int]*clock.Process // by pid, those that are patched
	caught    map[int]clock.Setting  // by pid, of those that are being patched at their exec
	base      map[int]gained         // by pid, without what is asked
}

// gained is what a monotonic clock has gained, and how far off that may be.
type gained struct{ ahead, within time.Duration }

// set makes clocks show something else. Drift and strobe count from the moment at which
// they were first asked for: asking for the same again, and a restart of the node, change
// nothing of that.
func (c *clocks) set(asked faults.Clock) error {
	pids, err := c.processes.find()
	if err != nil {
		return err
	}
	c.forget(pids)
	before := c.want
	if asked != c.asked {
		now, err := clock.Now()
		if err != nil {
			return err
		}
		c.asked, c.want = asked, clock.Setting{Clock: asked, Since: now}
	}
	for _, pid := range pids {
		if err := c.change(pid, before); err != nil {
			return fmt.Errorf("the clock of process %d: %w", pid, err)
		}
	}
	return nil
}

// change brings one process's clocks from what was wanted before to what is, and keeps what the
// monotonic one has gained so far. What that leapt already of what is wanted again is not done again.
func (c *clocks) change(pid int, before clock.Setting) error {
	p := c.open[pid]
	if p == nil || before == c.want {
		return c.bring(pid)
	}
	first, unread := p.Read()
	if err := c.bring(pid); err != nil {
		return err
	}
	if unread != nil { // an earlier change failed halfway: what it has gained stays unknown, and so unproved
		return nil
	}
	now, err := clock.Now()
	if err != nil {
		return err
	}
	base := gained{ahead: first.Monotonic - min(before.Forward, c.want.Forward)}
	if before.Monotonic != c.want.Monotonic { // it went on at the old rate until some moment since
		base.within = time.Duration(math.Abs(before.Monotonic) * float64(now-first.At))
	}
	c.base[pid] = base
	return nil
}

// truth reports whether clocks are to show it.
func (c *clocks) truth() bool { return c.asked.Healthy() }

// bring makes one process's clocks show what is wanted, or, once they show the truth anyway,
// takes everything back.
func (c *clocks) bring(pid int) error {
	if c.isCaught(pid) {
		return nil // settle will see to it
	}
	p := c.open[pid]
	if p == nil && c.truth() {
		return nil
	}
	if p == nil {
		var err error
		if p, err = clock.Open(pid); err != nil {
			return gonePid(pid, c.processes, err)
		}
		c.open[pid] = p
	}
	if !c.truth() {
		return gonePid(pid, c.processes, p.Set(c.want))
	}
	if err := p.Set(clock.Setting{}); err != nil {
		return gonePid(pid, c.processes, err)
	}
	err := p.Restore()
	if errors.Is(err, clock.ErrGained) { // and keeps, until it ends
		return nil
	}
	delete(c.open, pid)
	return gonePid(pid, c.processes, errors.Join(err, p.Close()))
}

// gonePid is no error of a process that has ended meanwhile.
func gonePid(pid int, all processes, err error) error {
	if err == nil {
		return nil
	}
	now, countErr := all.count([]int{pid})
	if countErr == nil && now.state() == faults.Killed {
		return nil
	}
	return err
}

// forget lets go of processes that have ended.
func (c *clocks) forget(alive []int) {
	for pid, p := range c.open {
		if !slices.Contains(alive, pid) {
			p.Close() // nothing of it can be lost
			delete(c.open, pid)
			delete(c.base, pid)
		}
	}
}

// enter catches a process that is going to execute the node, so that the node's first
// instruction meets the clock that is wanted. What it returns waits for that.
func (c *clocks) enter(pid int, done func(*clock.Process, error)) (follow func(), err error) {
	caught, err := clock.Catch(pid)
	if err != nil {
		return nil, err
	}
	want := c.want
	c.caught[pid] = want
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), entryLimit)
		defer cancel()
		p, err := caught.Exec(ctx, want)
		done(p, err)
	}, nil
}

// settle takes a process over that was patched at its exec, and gives it what was asked for
// since.
func (c *clocks) settle(pid int, p *clock.Process, err error) error {
	began := c.caught[pid]
	delete(c.caught, pid)
	if err != nil {
		return err
	}
	c.open[pid] = p
	return c.change(pid, began)
}

func (c *clocks) isCaught(pid int) bool {
	_, is := c.caught[pid]
	return is
}

// read tells what the clocks of the node's process show; nil if there is no process.
func (c *clocks) read() (*faults.ClockMeasurement, error) {
	pids, err := c.processes.find()
	if err != nil || len(pids) == 0 || c.isCaught(pids[0]) {
		return nil, err
	}
	now, err := clock.Now()
	if err != nil {
		return nil, err
	}
	pid := pids[0]
	p := c.open[pid]
	if p == nil {
		if p, err = clock.Open(pid); err != nil {
			return nil, gonePid(pid, c.processes, err)
		}
		defer p.Close()
	}
	seen, err := p.Read()
	if err != nil {
		return nil, gonePid(pid, c.processes, err)
	}
	reading := &faults.ClockMeasurement{Read: true, Offset: seen.Wall, Gained: seen.Monotonic, Base: c.base[pid].ahead, BaseWithin: c.base[pid].within,
		After: max(now, seen.At) - c.want.Since, Patched: seen.Patched}
	if !seen.Patched {
		return reading, nil
	}
	time.Sleep(rateSpan)
	later, err := p.Read()
	if err != nil {
		return nil, gonePid(pid, c.processes, err)
	}
	rates(reading, seen, later, c.want)
	if c.want.Strobe == 0 {
		return reading, nil
	}
	looks, err := p.Watch(max(c.want.Period*9/4, leastWatch), strobeLooks)
	if err != nil {
		return nil, gonePid(pid, c.processes, err)
	}
	for _, l := range looks {
		reading.Looks = append(reading.Looks, faults.ClockSample{After: l.At - c.want.Since, Offset: l.Wall, Within: l.Within})
	}
	return reading, nil
}

// A strobe is looked at so many times, over two periods and a bit, and no shorter than leastWatch: so two
// jumps must show.
const (
	strobeLooks = 64
	leastWatch  = 40 * time.Millisecond
)

// rateSpan is how far two readings are apart that tell what a clock gains: a reading is right
// to the microsecond, so this tells rates to 0.0001.
const rateSpan = 20 * time.Millisecond

// rates fills in what the clocks gained between two readings. Between them the wall clock may have
// jumped, by the strobe that is wanted.
func rates(r *faults.ClockMeasurement, first, second clock.Reading, want clock.Setting) {
	wallApart, monoApart := (second.WallAt - first.WallAt).Seconds(), (second.At - first.At).Seconds()
	if wallApart <= 0 || monoApart <= 0 {
		return // somebody steps the machine's own clock
	}
	gained, strobe := (second.Wall - first.Wall).Seconds(), want.Strobe.Seconds()
	closest := gained
	for _, without := range []float64{gained - strobe, gained + strobe} {
		if expected := want.Drift * wallApart; math.Abs(without-expected) < math.Abs(closest-expected) {
			closest = without
		}
	}
	r.Drift, r.Monotonic = closest/wallApart, (second.Monotonic-first.Monotonic).Seconds()/monoApart
	r.Within = (first.Within + second.Within).Seconds() / min(wallApart, monoApart)
}
