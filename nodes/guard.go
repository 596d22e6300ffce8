package nodes

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Runtimes, systems and clients are often somebody else's code. What calls it goes through
// Guard or Bounded, so that a panic in it, or a call that never returns, ends as an error that
// names the place, and the cluster is still healed and removed.

// Panicked is a panic that Guard has caught.
type Panicked struct {
	What  string // was being done
	Value any    // of the panic
	Where string // FUNCTION (FILE:LINE)
}

func (p *Panicked) Error() string {
	return fmt.Sprintf("%s panicked: %v, in %s", p.What, p.Value, p.Where)
}

// Guard calls f, and makes a *Panicked of a panic in it.
func Guard(what string, f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &Panicked{what, value, panicPlace()}
		}
	}()
	return f()
}

// panicPlace is where the panic came from that is being recovered.
func panicPlace() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	panicking := false
	for {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicking && !inRuntime {
			return fmt.Sprintf("%s (%s:%d)", frame.Function, filepath.Base(frame.File), frame.Line)
		}
		panicking = panicking || inRuntime && strings.HasSuffix(frame.Function, "panic")
		if !more {
			return "an unknown place"
		}
	}
}

// ErrGivenUp is in the chain of errors of calls that did not return although their time was up.
var ErrGivenUp = errors.New("it ignores that its time is up")

// Bounded is Guard for a call that gives up when ctx ends, or within grace from then on. One
// that does not is left behind, and what it returns later is handed to late, unless that is
// nil.
func Bounded[T any](ctx context.Context, grace time.Duration, what string, f func(context.Context) (T, error), late func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: fmt.Errorf("%s ended its goroutine", what)}
		defer func() { done <- r }()
		r.err = Guard(what, func() (err error) {
			r.value, err = f(ctx)
			return err
		})
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	end := time.NewTimer(grace)
	defer end.Stop()
	select {
	case r := <-done:
		return r.value, r.err
	case <-end.C:
	}
	if late != nil {
		go func() {
			if r := <-done; r.err == nil {
				late(r.value)
			}
		}()
	}
	var nothing T
	return nothing, fmt.Errorf("%s did not return %v after its time was up: %w (%w)", what, grace, ErrGivenUp, context.Cause(ctx))
}
