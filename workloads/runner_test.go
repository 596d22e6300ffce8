package workloads

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

func TestRunRecordsWhatAHealthyStoreDid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.run(20 * time.Second)
		events, ops := b.finish()
		require.Greater(t, len(ops), 5000)
		require.Len(t, events, 2*len(ops), "every operation has its completion")
		requireLinearizable(t, ops)

		stats := b.Stats()
		require.EqualValues(t, len(ops), stats.OK+stats.Fail+stats.Info)
		require.Zero(t, stats.Info)
		require.Equal(t, stats.Mismatch, stats.Fail, "nothing but compares failed")
		require.Positive(t, stats.ByF[history.OpCAS].OK, "some compares succeed")
		require.Positive(t, stats.ByF[history.OpCAS].Mismatch, "and some do not")
		require.InEpsilon(t, 0.5, float64(stats.ByF[history.OpRead].OK)/float64(len(ops)), 0.1)
		require.Less(t, time.Since(stats.LastOK), 2*time.Second)
		for _, o := range ops {
			require.Equal(t, b.Nodes[int(o.Process)%len(b.Nodes)], o.Node)
			require.Equal(t, o.F == history.OpRead, o.Mode == history.ModeDefault)
			if o.Type == history.OK && (o.F != history.OpRead || string(o.Output) != "null") {
				require.Positive(t, o.ModifyIndex)
			}
			if o.Type == history.Fail {
				require.Equal(t, history.CASMismatch, o.Error)
				require.NotEmpty(t, o.Current)
			}
		}
	})
}

func TestRunRecordsTrouble(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(c *Config) {
					var err error
					c.Generator, err = NewRegister(Options{Seed: seed, OpsPerKey: 60})
					require.NoError(t, err)
				})
				b.troubles(map[trouble]float64{refuse: 0.02, lose: 0.01, forget: 0.01, hang: 0.01})
				b.run(10 * time.Second)
				synctest.Wait()
				_, ops := b.finish()
				require.Greater(t, len(ops), 500)
				seen := map[string]int{}
				for _, o := range ops {
					seen[string(o.Type)+" "+string(o.Error)]++
					code := history.Code(o.Error)
					switch o.Type {
					case history.Info:
						require.NotEqual(t, history.OpRead, o.F)
						require.False(t, code.Definite())
					case history.Fail:
						require.True(t, code.Definite() || o.F == history.OpRead)
					}
				}
				for _, want := range []string{"ok ", "fail connection-refused", "fail timeout", "info connection-lost", "info leadership-lost", "info timeout"} {
					require.Positive(t, seen[want], "%s in %v", want, seen)
				}
				requireLinearizable(t, ops)
			})
		})
	}
}

func TestAProcessEndsWithAnInfoAndItsThreadGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.troubles(map[trouble]float64{forget: 0.2})
		b.run(5 * time.Second)
		events, _ := b.finish()
		now := map[history.Process]history.Process{} // thread to process
		var retired int
		for _, e := range events {
			thread := e.Process % 6
			want, begun := now[thread]
			if !begun {
				want = thread
			}
			require.Equal(t, want, e.Process)
			require.Equal(t, b.Nodes[int(thread)%3], e.Node)
			now[thread] = want
			if e.Type == history.Info {
				now[thread] += 6
				retired++
			}
		}
		require.Greater(t, retired, 20)
	})
}

func TestTheRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Rate = 100 })
		b.run(30 * time.Second)
		_, ops := b.finish()
		require.InDelta(t, 3000, len(ops), 15)
	})
}

// Slots that came while every thread hung must not all be taken afterwards.
func TestAnOutageIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Rate, c.Timeout = 100, 10*time.Second })
		began := time.Now()
		for _, c := range b.clients {
			c.setTrouble(func(float64) trouble {
				if time.Since(began) < 5*time.Second {
					return hang
				}
				return none
			})
		}
		b.run(20 * time.Second)
		_, ops := b.finish()
		require.InDelta(t, 1000, len(ops), 50, "100 a second in the 10 s after the first operations timed out")
	})
}

func TestADeadNodeIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.clients["a"].setTrouble(func(float64) trouble { return refuse })
		b.run(10 * time.Second)
		b.finish()
		require.Less(t, b.clients["a"].calls, 2*10*12, "two threads, 100 ms apart")
		require.Greater(t, b.clients["b"].calls, 1000)
	})
}

func TestTheEndOfRunWaitsForOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *Config) { c.Timeout = 3 * time.Second })
		b.troubles(map[trouble]float64{hang: 1})
		began := time.Now()
		b.run(time.Second)
		require.Equal(t, 3*time.Second, time.Since(began).Truncate(100*time.Millisecond))
		events, ops := b.finish()
		require.Len(t, ops, 6)
		require.Len(t, events, 12)
	})
}

func TestRunCanBeCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.troubles(map[trouble]float64{forget: 0.1})
		b.run(time.Second)
		first := b.Stats().OK
		b.run(time.Second)
		require.Greater(t, b.Stats().OK, first)
		b.finish()
	})
}

func TestAStuckClientIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		b := newBench(t, func(c *Config) { c.Clients["b"] = stuck{nil, free} })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, b.Run(ctx), "2 operations did not return within 5s")
		require.ErrorContains(t, b.Run(t.Context()), "stuck")
		require.NoError(t, b.Log.(*history.Log).Close())
		events, _, err := history.ReadFile(b.path)
		require.NoError(t, err)
		ops, err := history.Operations(events)
		require.NoError(t, err)
		open := slices.DeleteFunc(ops, func(o history.Operation) bool { return o.Error != "unanswered" })
		require.Len(t, open, 2)
		close(free)
		synctest.Wait()
		require.ErrorIs(t, b.Err(), os.ErrClosed, "what comes too late is not lost in silence")
	})
}

// stuck does not heed its context.
type stuck struct {
	nodes.Conn
	free chan struct{}
}

func (s stuck) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, s, op)
}

func (s stuck) Get(context.Context, string, history.Mode) (nodes.Answer, error) { return s.wait() }
func (s stuck) Put(context.Context, string, string) (nodes.Answer, error)       { return s.wait() }
func (s stuck) CAS(context.Context, string, string, uint64) (nodes.Answer, error) {
	return s.wait()
}

func (s stuck) wait() (nodes.Answer, error) {
	<-s.free
	return nodes.Answer{}, nodes.Errorf(history.Timeout, "at last")
}

// /dev/full refuses every write as a full disk does. The log buffers, so the failure comes
// with the first flush.
func TestAFullDiskEndsTheRun(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here: ", err)
	}
	synctest.Test(t, func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)
		log := history.New(full)
		b := newBench(t, func(c *Config) {
			require.NoError(t, c.Log.(*history.Log).Close())
			c.Log = log
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		require.ErrorContains(t, b.Run(ctx), "no space left on device")
		require.Less(t, time.Since(began), time.Second)
		require.Error(t, b.Burst(t.Context(), "a", 3))
		require.Error(t, b.Final(ctx))
		require.Error(t, log.Close())
	})
}

func TestAConfigThatMakesNoSenseIsRefused(t *testing.T) {
	log, err := history.Create(filepath.Join(t.TempDir(), "history.jsonl"))
	require.NoError(t, err)
	defer func() { require.NoError(t, log.Close()) }()
	gen, err := NewRegister(Options{})
	require.NoError(t, err)
	good := Config{Generator: gen, Log: log, Nodes: []string{"a"}, Clients: map[string]nodes.Conn{"a": stuck{}},
		Concurrency: 1, Timeout: time.Second}
	_, err = NewRunner(good)
	require.NoError(t, err)
	for want, change := range map[string]func(*Config){
		"generator":             func(c *Config) { c.Generator = nil },
		"no nodes":              func(c *Config) { c.Nodes = nil },
		"concurrency is 0":      func(c *Config) { c.Concurrency = 0 },
		"timeout":               func(c *Config) { c.Timeout = 0 },
		"least timeout":         func(c *Config) { c.LeastTimeout = c.Timeout + 1 },
		"rate is -1":            func(c *Config) { c.Rate = -1 },
		"no client for node zz": func(c *Config) { c.Nodes = []string{"a", "zz"} },
	} {
		bad := good
		change(&bad)
		_, err := NewRunner(bad)
		require.ErrorContains(t, err, want)
	}
}

func TestErrorsAreClassifiedByTheTable(t *testing.T) {
	for _, c := range []struct {
		f    history.Op
		err  error
		want history.Type
		code history.Code
	}{
		{history.OpWrite, nodes.Errorf(history.NoLeader, ""), history.Fail, history.NoLeader},
		{history.OpWrite, nodes.Errorf(history.Timeout, ""), history.Info, history.Timeout},
		{history.OpCAS, nodes.Errorf(history.CASMismatch, ""), history.Fail, history.CASMismatch},
		{history.OpCAS, fmt.Errorf("wrapped: %w", nodes.Errorf(history.ForwardLost, "")), history.Info, history.ForwardLost},
		{history.OpWrite, nodes.Errorf("of tomorrow", ""), history.Info, "of tomorrow"},
		{history.OpWrite, errors.New("plain"), history.Info, history.Unknown},
		{history.OpRead, errors.New("plain"), history.Fail, history.Unknown},
		{history.OpRead, nodes.Errorf(history.Timeout, ""), history.Fail, history.Timeout},
		{history.OpRead, nodes.Errorf(history.Refused, ""), history.Fail, history.Refused},
	} {
		a := perform(t.Context(), failing{err: c.err}, Op{Op: nodes.Op{F: c.f}})
		require.Equal(t, Outcome{Type: c.want, Error: c.code}, a, "%s: %v", c.f, c.err)
	}
	a := perform(t.Context(), failing{}, Op{Op: nodes.Op{F: "fly"}})
	require.Equal(t, history.Fail, a.Type)
}

type failing struct {
	nodes.Conn
	err error
}

func (f failing) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, f, op)
}

func (f failing) Get(context.Context, string, history.Mode) (nodes.Answer, error) {
	return nodes.Answer{Value: "9", Found: true}, f.err
}
func (f failing) Put(context.Context, string, string) (nodes.Answer, error) {
	return nodes.Answer{}, f.err
}
func (f failing) CAS(context.Context, string, string, uint64) (nodes.Answer, error) {
	return nodes.Answer{Value: "9", Found: true}, f.err
}
