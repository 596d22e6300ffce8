package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts is what Ctrl-C does, and so do SIGTERM and a terminal that is closed. The
// first ends ctx: faults are healed and what happened is judged. The second ends abort:
// the cluster is only removed. A third one kills, and leaves the rest to faultline clean.
type interrupts struct {
	ctx, abort context.Context
	signals    chan os.Signal
	end        []context.CancelFunc // of ctx and abort

	mu  sync.Mutex
	say func(string) // where a run reports what happens; nil while there is no run
}

func listen() *interrupts {
	i := &interrupts{signals: make(chan os.Signal, 3)}
	var first, second context.CancelFunc
	i.ctx, first = context.WithCancel(context.Background())
	i.abort, second = context.WithCancel(context.Background())
	i.end = []context.CancelFunc{first, second}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Whoever reads our output may go away in the middle of a run. That must not kill the
	// harness beside its cluster: the write fails, and the run goes on.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go i.wait()
	return i
}

func (i *interrupts) wait() {
	texts := []string{
		"interrupted: healing, then judging what there is (again: only clean up)",
		"interrupted again: removing the cluster (again: exit at once)",
	}
	for n, text := range texts {
		<-i.signals
		i.tell(text)
		i.end[n]()
	}
	<-i.signals
	os.Exit(declare(exitHarness))
}

// announce has what interrupts do reported by say from now on.
func (i *interrupts) announce(say func(string)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.say = say
}

func (i *interrupts) tell(text string) {
	i.mu.Lock()
	say := i.say
	i.mu.Unlock()
	if say == nil {
		fmt.Fprintln(os.Stderr, "faultline: interrupted")
		return
	}
	say(text)
}

func (i *interrupts) close() {
	signal.Stop(i.signals)
	for _, end := range i.end {
		end()
	}
}
