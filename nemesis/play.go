package nemesis

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// World is what the nemesis acts on.
type World struct {
	Topology topologies.Topology
	Cluster  nodes.Cluster
	Conn     func(node string) nodes.Conn // it stays the caller's to close
	// Leader names the live server that leads a datacenter. It waits a little for one.
	Leader func(ctx context.Context, dc string) (string, error)
	// Burst fires that many one-shot reads at a node and returns when all were sent, or
	// ctx ended. Whoever gives it records how they end.
	Burst func(ctx context.Context, node string, reads int) error
	Log   history.Sink
	// Abort gives up even what is carried through when ctx ends: heals, and the check of the
	// baseline; nil never does.
	Abort context.Context
	// Open counts the operations of clients that are under way and mean the data of a datacenter, of none all of them;
	// nil: nobody counts them.
	Open func(dc string) int
	// Forwarded counts the operations that mean the data of a datacenter, were asked of nodes of others, and were under
	// way all the time between two moments of the last seconds; nil: nobody counts them.
	Forwarded func(dc string, from, to time.Time) int
	// Notify is told the labels of the active steps after every change; may be nil.
	Notify func(active []string)

	// addConditions adds conditions to those of the schedule, in place of what the same
	// step added before, and measures the sum; nil adds none. Only Work has it.
	addConditions func(ctx context.Context, add func(*faults.Conditions)) error
	// watchers are what looks at the servers of a datacenter all the time; those that no step needs are missing.
	watchers map[string]*watcher
	// dc and watcher are those of the step that is played: see of.
	dc      string
	watcher *watcher
	// changeBegan and changeEnded are when the last change of conditions was asked for, and when it was made.
	changeBegan, changeEnded time.Time
}

// healWithin bounds the heal at the end, with the check of the baseline.
const healWithin = 60 * time.Second

// Play plays a schedule in real time from now on and returns it with the live roles
// replaced by names, and with what waited at the time when it began. What was skipped has Skip.
//
// Changes are made strictly in the order of their times, and each is measured before the
// next begins, because a probe that runs while the next change is being made shows
// neither. A change that is held up so is late, and its mark in the history says by how
// much; the changes after it keep their own times, unless they are held up too. So two
// faults overlap in a run if and only if they do in its schedule.
//
// What was asked and what was measured goes into the history as [faults.Evidence]; whether
// it shows a fault is not decided here. A step that found no leader to hit, or that would have left the cluster
// without a majority until it was over, is marked with that error, and the run goes on. When the schedule is over, or ctx, everything is healed,
// with a time of its own, and probed against the healthy baseline. That ctx ended is not
// an error; an error means that the schedule fails its Check or that the history could
// not be written.
func Play(ctx context.Context, s Schedule, w World) (Schedule, error) {
	if err := s.checkSteps(w.Topology); err != nil {
		return s, err
	}
	w.watchers = map[string]*watcher{}
	for dc, members := range s.watched(w.Topology) {
		w.watchers[dc] = watch(context.WithoutCancel(ctx), w.of(dc), members)
		defer w.watchers[dc].close()
	}
	p := newPlayer(w)
	p.schedule, p.progress = s.clone(), make([]progress, len(s.Steps))
	for c, more := p.next(); more; c, more = p.next() {
		reached, err := p.await(ctx, c.at)
		if err != nil || p.failure() != nil {
			break
		}
		if reached {
			p.change(ctx, p.reach(c))
		}
	}
	p.finish(ctx)
	return p.schedule, p.failure()
}

func newPlayer(w World) *player {
	return &player{World: w, began: time.Now(), lasting: map[int]bool{}, added: map[int]func(*faults.Conditions){},
		held: map[int]held{}, notes: map[int]string{}, works: map[int]*work{}, turn: make(chan struct{}, 1)}
}

// player is the state of one Play.
type player struct {
	World
	began    time.Time
	schedule Schedule          // resolved as far as it has begun
	progress []progress        // of every step
	lasting  map[int]bool      // steps that have begun and will be healed; true if their edits are in force
	aborting bool              // the run is cut short: heal at once, without the actions of heals
	held     map[int]held      // steps that wait: for a trigger, a role, or until a majority would stay
	notes    map[int]string    // what is to be said of a step when it begins or is healed
	set      faults.Conditions // of the last Set that succeeded

	turn  chan struct{} // holds one value while somebody changes or proves the conditions
	added map[int]func(*faults.Conditions)
	works map[int]*work // of every step the last

	marking sync.Mutex
	failed  error // the first failure to write the history
}

func (p *player) failure() error {
	p.marking.Lock()
	defer p.marking.Unlock()
	return p.failed
}

// part is one step's share of a change.
type part struct {
	number   int
	step     Step
	kind     Kind
	acts     Acts
	targets  []string
	mark     history.FaultEvent
	stage    history.Stage
	evidence faults.Evidence
	fresh    bool // it makes or takes back conditions, so they must be measured
	skipHeal bool // what it does before its heal makes no sense, since it did not begin well
}

// change makes one change: it resolves roles, runs the actions that come before, sets
// the conditions, measures them, runs the actions that come after, and marks it all.
func (p *player) change(ctx context.Context, c change) {
	p.endWorks(c.heals)
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	c = p.hold(ctx, c)
	if len(c.heals)+len(c.starts) == 0 {
		return
	}
	late := time.Since(p.began) - c.at
	starts := p.begin(ctx, c.starts)
	heals := p.end(c.heals)
	through := ctx
	if len(heals) > 0 { // a mark would otherwise tell of a heal that came later
		var done func()
		through, done = p.carriedThrough(ctx)
		defer done()
	}
	for _, part := range starts {
		part.act(ctx, p.worldOf(part.step), part.acts.Before)
		if !part.kind.Momentary {
			p.lasting[part.number] = part.evidence.Error == ""
		}
	}
	for _, part := range heals {
		if !p.aborting && !part.skipHeal {
			part.act(through, p.worldOf(part.step), part.acts.Heal)
		}
		delete(p.lasting, part.number)
		delete(p.added, part.number)
	}
	p.notify()

	parts := append(heals, starts...)
	var seen look
	if anyFresh(parts) {
		seen = p.reconcile(through, p.conditions())
		if seen.err() != nil && slices.ContainsFunc(heals, (*part).mayEnd) { // a node may have ended over its disk right after it was looked for
			seen = p.reconcile(through, p.conditions())
		}
	}
	for _, part := range starts {
		if seen.err() == nil {
			part.act(ctx, p.worldOf(part.step), part.acts.After)
			p.wake(part)
		}
	}
	for _, part := range parts {
		part.conclude(seen, late)
		p.goOn(ctx, part)
	}
}

// begin resolves the steps that are to start and marks that they do. A step that finds
// no leader to hit is marked so and left out.
func (p *player) begin(ctx context.Context, numbers []int) []*part {
	var parts []*part
	for _, i := range numbers {
		step, err := p.resolve(ctx, p.schedule.Steps[i])
		p.schedule.Steps[i] = step
		part := p.part(i, history.FaultStart)
		if err != nil {
			p.fail(i, err.Error())
			continue
		}
		part.mark.Lasts = !part.kind.Momentary
		part.mark.Kills = part.kind.Kills || part.ends(faults.Killed) || part.mayEnd()
		part.mark.Exits = part.kind.Exits || part.mayEnd()
		part.mark.Rejoins = part.kind.RemovesVoters || part.kind.AddsVoters
		part.mark.Wipes = part.kind.Wipes || part.ends(faults.Wiped)
		part.mark.Fatal = mayGoBelow(step.Fault)
		part.mark.Asked = part.asked()
		p.mark(history.Op(step.Name()), part.mark)
		if part.acts.Note != nil {
			part.note(part.acts.Note(ctx, p.worldOf(part.step), part.targets))
		}
		parts = append(parts, part)
	}
	return parts
}

// end marks that steps are being healed, those of them that had begun.
func (p *player) end(numbers []int) []*part {
	var parts []*part
	for _, i := range numbers {
		inForce, begun := p.lasting[i]
		if _, waits := p.held[i]; waits && !begun {
			p.abandon(i)
		}
		if !begun {
			continue
		}
		part := p.part(i, history.FaultHeal)
		if h, waits := p.held[i]; waits { // and must not wait longer
			part.evidence.Error = h.why.Error()
			delete(p.held, i)
		}
		part.skipHeal = !inForce
		part.mark.Asked = part.askedHeal()
		p.mark(history.Op(part.step.Name()), part.mark)
		parts = append(parts, part)
	}
	return parts
}

func (p *player) part(number int, stage history.Stage) *part {
	step := p.schedule.Steps[number]
	part := &part{number: number, step: step, kind: step.Fault.Kind(), acts: actsOf(step.Fault), stage: stage, fresh: changes(step.Fault)}
	part.mark = history.FaultEvent{Step: number, Stage: stage}
	part.note(p.notes[number])
	delete(p.notes, number)
	if isRole(step.Target.Word) || step.Target.IsZero() {
		return part // nobody was found to hit
	}
	part.targets, part.evidence.Part = step.nodes(p.Topology), step.alone(p.Topology)
	part.mark.Targets = part.targets
	return part
}

// fail marks a step that does not begin.
func (p *player) fail(number int, why string) {
	step := p.schedule.Steps[number]
	if step.mayFail() {
		p.skip(number, why)
		return
	}
	mark := history.FaultEvent{Step: number, Stage: history.FaultStart, Asked: step.Label()}
	p.mark(history.Op(step.Name()), mark)
	mark.Done, mark.Evidence = true, &faults.Evidence{Error: why}
	p.mark(history.Op(step.Name()), mark)
}

// carriedThrough is ctx without its end, which only Abort brings.
func (w World) carriedThrough(ctx context.Context) (context.Context, func()) {
	through, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	if w.Abort == nil {
		return through, func() { cancel(nil) }
	}
	stop := context.AfterFunc(w.Abort, func() { cancel(context.Cause(w.Abort)) })
	return through, func() { stop(); cancel(nil) }
}

func (part *part) asked() string {
	if part.kind.Asked != nil {
		return part.kind.Asked(part.targets)
	}
	return part.evidence.Part.Words()
}

func (part *part) askedHeal() string {
	if part.kind.AskedHeal != nil {
		return part.kind.AskedHeal(part.targets)
	}
	if part.evidence.Part.Healthy() {
		return strings.Join(part.targets, ", ") + " running"
	}
	return part.evidence.Part.HealedWords()
}

func (part *part) note(words string) {
	if words != "" && !slices.Contains(part.evidence.Notes, words) {
		part.evidence.Notes = append(part.evidence.Notes, words)
	}
}

func (part *part) act(ctx context.Context, w World, action Action) {
	if action == nil || part.evidence.Error != "" {
		return
	}
	seen, err := action(ctx, w, part.step, part.targets)
	part.saw(seen, err)
}

// saw adds what an action saw to the evidence.
func (part *part) saw(seen Seen, err error) {
	part.note(seen.Note)
	part.evidence.Findings = append(part.evidence.Findings, seen.Findings...)
	if err != nil {
		part.evidence.Error = err.Error()
	}
}

// mayEnd reports whether the step's conditions may make processes end themselves.
func (part *part) mayEnd() bool {
	for _, state := range part.evidence.Part.Disks {
		if state.EndsNodes() {
			return true
		}
	}
	return false
}

// ends reports whether the step's conditions end processes as badly as that.
func (part *part) ends(least faults.ProcessState) bool {
	for _, state := range part.evidence.Part.Processes {
		if state == least || least == faults.Killed && state.Ended() {
			return true
		}
	}
	return false
}

func anyFresh(parts []*part) bool {
	for _, part := range parts {
		if part.fresh {
			return true
		}
	}
	return false
}

func (p *player) conditions() faults.Conditions {
	var active []Step
	for _, i := range sortedKeys(p.lasting) {
		if p.lasting[i] {
			active = append(active, p.schedule.Steps[i])
		}
	}
	c := sum(p.Topology, active)
	for _, i := range sortedKeys(p.added) {
		p.added[i](&c)
	}
	return c
}

// finish heals what still lasts and checks the baseline, even if ctx is over.
func (p *player) finish(ctx context.Context) {
	if ctx.Err() == nil && p.failure() == nil {
		p.release(ctx)
	}
	through, done := p.carriedThrough(ctx)
	defer done()
	healing, cancel := context.WithTimeout(through, healWithin)
	defer cancel()
	if len(p.lasting) > 0 {
		p.aborting = true
		p.change(healing, change{at: time.Since(p.began), heals: sortedKeys(p.lasting)})
	}
	p.awaitWorks()
	checking, end := context.WithTimeout(through, healWithin)
	defer end()
	p.baseline(checking)
}

func (p *player) notify() {
	if p.Notify == nil {
		return
	}
	active := []string{}
	for _, i := range sortedKeys(p.lasting) {
		active = append(active, p.schedule.Steps[i].Label())
	}
	p.Notify(active)
}

func (p *player) mark(f history.Op, m history.FaultEvent) {
	var value bytes.Buffer
	enc := json.NewEncoder(&value)
	enc.SetEscapeHTML(false) // links are written a>b
	if err := enc.Encode(m); err != nil {
		panic(err) // a FaultEvent always encodes
	}
	_, err := p.Log.Add(history.Event{Process: history.Nemesis, Type: history.Info, F: f, Value: bytes.TrimSpace(value.Bytes())})
	p.marking.Lock()
	defer p.marking.Unlock()
	if p.failed == nil {
		p.failed = err
	}
}
