package workloads

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

var twoDCs = []string{"dc1", "dc2"}

// dcClient is a client of a node that has the data of several datacenters asked for.
type dcClient struct {
	dc string
	of map[string]*fakeClient
}

func (c dcClient) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	dc := op.DC
	if dc == "" {
		dc = c.dc
	}
	return c.of[dc].Do(ctx, op)
}
func (c dcClient) Observe(context.Context) (history.Observation, error) {
	return history.Observation{}, nil
}
func (dcClient) Leave(context.Context) error            { return nil }
func (dcClient) Transfer(context.Context, string) error { return nil }
func (dcClient) Close()                                 {}

// dcBench is a bench of two datacenters of two nodes each: a, b and c, d.
func dcBench(t *testing.T, gen Generator, wrap func(nodes.Conn) nodes.Conn) *bench {
	return newBench(t, func(c *Config) {
		c.Generator = gen
		c.Nodes = []string{"a", "b", "c", "d"}
		c.DCs = map[string]string{"a": "dc1", "b": "dc1", "c": "dc2", "d": "dc2"}
		stores := map[string]*store{"dc1": newStore(), "dc2": newStore()}
		for i, n := range c.Nodes {
			of := map[string]*fakeClient{}
			for _, dc := range twoDCs {
				of[dc] = newClient(stores[dc], uint64(i))
			}
			c.Clients[n] = wrap(dcClient{c.DCs[n], of})
		}
	})
}

func asIs(c nodes.Conn) nodes.Conn { return c }

func topologyOfTwo() topologies.Topology {
	return topologies.Topology{Name: "two", Datacenters: []topologies.Datacenter{
		{Name: "dc1", Servers: topologies.Members{Names: []string{"a", "b"}}},
		{Name: "dc2", Servers: topologies.Members{Names: []string{"c", "d"}}},
	}}
}

// Every workload asks for the data of every datacenter, by the same names of keys and by values of its own.
func TestWorkloadsOfSeveralDatacenters(t *testing.T) {
	for _, w := range All() {
		t.Run(w.Name, func(t *testing.T) {
			g, err := w.Generator(Options{Seed: 3, Datacenters: []string{"dc1", "dc2", "dc3"}, Concurrency: 12, AppendShare: 0.3})
			require.NoError(t, err)
			keys, values, at := map[string]map[string]bool{}, map[string]string{}, map[string]int{}
			for range 3000 {
				op := g.(Placed).NextAt("dc2")
				at[op.DC]++
				if op.Key != "" {
					if keys[op.DC] == nil {
						keys[op.DC] = map[string]bool{}
					}
					keys[op.DC][op.Key] = true
				}
				if op.F == history.OpWrite && op.Value != "" {
					require.Empty(t, values[op.Value], "%s is written twice", op.Value)
					values[op.Value] = op.DC
				}
				g.Learn(op, Outcome{Type: history.Fail, Error: history.NoLeader})
			}
			require.InDelta(t, 1500, at["dc2"], 150, "half of what is asked for is near")
			require.InDelta(t, 750, at["dc1"], 150)
			require.InDelta(t, 750, at["dc3"], 150)
			common := 0
			for key := range keys["dc1"] {
				if keys["dc2"][key] && keys["dc3"][key] {
					common++
				}
			}
			require.Greater(t, common, 2)
			require.Equal(t, "dc3", g.(Placed).ReadAt("dc3").DC, "a burst is about what its node remembers")
			finals := map[string]int{}
			for _, op := range g.Finals(30) {
				finals[op.DC]++
			}
			require.Len(t, finals, 3)
			require.LessOrEqual(t, finals["dc1"]+finals["dc2"]+finals["dc3"], 30)
		})
	}
	g, err := Register().Generator(Options{Datacenters: []string{"dc1"}})
	require.NoError(t, err)
	require.Empty(t, g.Next().DC, "of one datacenter nobody says which")
}

// What two good stores answer is judged valid, whatever goes wrong on the way to them, and so is what their servers hold.
func TestSeveralDatacentersInTrouble(t *testing.T) {
	for _, w := range []Workload{Register(), Append(), Forwarding()} {
		t.Run(w.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, err := w.Generator(Options{Seed: 7, Datacenters: twoDCs})
				require.NoError(t, err)
				b := dcBench(t, g, func(c nodes.Conn) nodes.Conn { return c })
				for _, c := range b.Clients {
					for _, fake := range c.(dcClient).of {
						fake.setTrouble(func(draw float64) trouble {
							switch {
							case draw < 0.05:
								return refuse
							case draw < 0.1:
								return lose
							case draw < 0.15:
								return forget
							}
							return none
						})
					}
				}
				b.run(10 * time.Second)
				for _, c := range b.Clients {
					for _, fake := range c.(dcClient).of {
						fake.setTrouble(func(float64) trouble { return none })
					}
				}
				require.NoError(t, b.Final(t.Context()))
				agreeing, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				require.NoError(t, b.Copies(agreeing, history.ModeStale, b.Nodes))
				require.NoError(t, agreeing.Err(), "what the final reads found stays as it is")
				stats := b.Stats()
				require.Len(t, stats.ByWay, 8, "every node is asked for every datacenter")
				events, ops := b.finish()
				near := 0
				for _, op := range ops {
					if op.DC == b.DCs[op.Node] {
						near++
					}
				}
				require.InDelta(t, 0.5, float64(near)/float64(len(ops)), 0.1)
				run := &checker.Run{Settings: checker.Settings{Workload: w.Name, Mode: history.ModeDefault, OwnCopy: history.ModeStale, RecoverWithin: time.Second},
					Topology: topologyOfTwo(), Events: phased(events), Ops: ops}
				_, results := checker.Judge(context.Background(), run, w.Checkers)
				for _, r := range results {
					require.Equal(t, checker.Valid, r.Verdict, "%s: %s %v", r.Checker, r.Summary, r.Reasons)
					require.True(t, strings.HasPrefix(r.Metrics[0].Name, "dc1: "))
				}
			})
		})
	}
}

// phased puts the phases of a run around its events: the final reads are those of one-shot processes.
func phased(events []history.Event) (all []history.Event) {
	phase := func(name history.Phase, at int64) {
		value, _ := json.Marshal(name)
		all = append(all, history.Event{Time: at, Process: history.Harness, Type: history.Info, F: history.FPhase, Value: value})
	}
	phase(history.PhaseFaults, 0)
	final := slices.IndexFunc(events, func(e history.Event) bool { return e.Process >= firstOneShot })
	all = append(all, events[:final]...)
	phase(history.PhaseFinal, events[final].Time)
	all = append(all, events[final:]...)
	phase(history.PhaseEnd, events[len(events)-1].Time)
	return all
}

// lost is a client whose writes of another datacenter end up in its own.
type lost struct{ dcClient }

func (l lost) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	if !op.F.Reads() {
		op.DC = l.dc
	}
	return l.dcClient.Do(ctx, op)
}

func TestAnEffectInTheWrongDatacenterShows(t *testing.T) {
	for _, w := range []Workload{Register(), Append(), Forwarding()} {
		synctest.Test(t, func(t *testing.T) {
			g, err := w.Generator(Options{Seed: 7, Datacenters: twoDCs})
			require.NoError(t, err)
			b := dcBench(t, g, func(c nodes.Conn) nodes.Conn { return lost{c.(dcClient)} })
			b.run(5 * time.Second)
			require.NoError(t, b.Final(t.Context()))
			events, ops := b.finish()
			run := &checker.Run{Settings: checker.Settings{Workload: w.Name, Mode: history.ModeDefault}, Topology: topologyOfTwo(), Events: phased(events), Ops: ops}
			_, results := checker.Judge(context.Background(), run, checker.All())
			said := fmt.Sprint(results)
			at := slices.IndexFunc(results, func(r checker.Result) bool { return r.Checker == "forwarding" })
			require.GreaterOrEqual(t, at, 0)
			require.Equal(t, checker.Invalid, results[at].Verdict, said)
			require.Contains(t, results[at].Summary, "meant for dc")
		})
	}
}

// A copy is asked for without the name of a datacenter: with one, it may be another server's.
func TestACopyIsAskedForInItsOwnDatacenter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := Register().Generator(Options{Seed: 7, Datacenters: twoDCs})
		require.NoError(t, err)
		b := dcBench(t, g, asIs)
		b.run(3 * time.Second)
		require.NoError(t, b.Final(t.Context()))
		wanted := map[string]int{}
		for _, f := range b.finals {
			wanted[f.DC]++
		}
		require.NoError(t, b.Copies(t.Context(), history.ModeStale, b.Nodes))
		events, _ := b.finish()
		for node, told := range toldCopies(events) {
			require.Len(t, told, wanted[b.DCs[node]], "each once, and as its datacenter has it")
			for _, e := range told {
				require.Empty(t, e.DC)
			}
		}
		require.Len(t, toldCopies(events), 4)
	})
}

func TestForwardingIsRegistersListsAndLocksInAllModes(t *testing.T) {
	g, err := NewForwarding(Options{Seed: 1, AppendShare: 0.5})
	require.NoError(t, err)
	parts, modes, fs := map[string]float64{}, map[history.Mode]int{}, map[history.Op]int{}
	for range 4000 {
		op := g.Next()
		part, _, _ := strings.Cut(op.Key, "/")
		parts[part] += 1.0 / 4000
		fs[op.F]++
		if op.F.Reads() {
			modes[op.Mode]++
		}
		g.Learn(op, Outcome{Type: history.Fail, Error: history.NoLeader})
	}
	require.InDelta(t, 0.45, parts["register"], 0.05)
	require.InDelta(t, 0.3, parts["lists"], 0.05)
	for _, mode := range history.Modes {
		require.Greater(t, modes[mode], 300, mode)
	}
	for _, f := range []history.Op{history.OpWrite, history.OpCAS, history.OpAppend, history.OpCreate} {
		require.Positive(t, fs[f], f)
	}
	for _, op := range g.Finals(200) {
		require.Equal(t, history.ModeDefault, op.Mode, "the final reads say what servers agree on")
	}
	for range 50 {
		require.Equal(t, history.ModeDefault, g.Read().Mode)
	}
	_, err = NewForwarding(Options{Mode: history.ModeStale})
	require.ErrorContains(t, err, "forwarding: ")
	_, err = NewForwarding(Options{Keys: -1})
	require.ErrorContains(t, err, "forwarding: register: ")
	only, err := NewForwarding(Options{Modes: []history.Mode{history.ModeConsistent}})
	require.NoError(t, err)
	for range 100 {
		if op := only.Next(); op.F.Reads() {
			require.Equal(t, history.ModeConsistent, op.Mode, "a system is not asked for modes that it lacks")
		}
	}
}

// What a session holds is free once its time is over, so nobody waits for copies to be as a read found it.
func TestHeldLocksAreNoCopies(t *testing.T) {
	r := &Runner{}
	held := finalRead{value: encoded(history.Entry{Value: "v", Session: "s"})}
	free := finalRead{value: encoded(history.Entry{Value: "v"})}
	plain, list, absent := finalRead{value: history.Int(7)}, finalRead{value: []byte("[1,2]")}, finalRead{value: history.Null}
	require.Equal(t, []finalRead{free, plain, list, absent}, r.own("a", []finalRead{held, free, plain, list, absent}))
}
