package faultline

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// small is a system that has registers and no more.
type small struct{ memorySystem }

func (small) Facts() nodes.Facts {
	return nodes.Facts{Port: 1, Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS}, Modes: []nodes.Mode{{Name: "fresh", Doc: "the last write"}}}
}

// What a system cannot serve is refused before anything starts.
func TestAScenarioMustFitItsSystem(t *testing.T) {
	o := Options{System: small{memorySystem{newMemory(newTrap("", "", 0))}}}
	for says, s := range map[string]Scenario{
		"workload lock asks for the operation create, which the system memory does not have; it has read, write, cas": {Workload: "lock"},
		`mode "stale" is none of the system memory, which has default, fresh`:                                         {Mode: history.ModeStale},
		"topology dc1-3c2 has client agents (dc1-c1), and the system memory has none":                                 {Topology: "dc1-3c2"},
		"faults of the family transfer ask for more than the system can do":                                           {Nemesis: []string{"transfer"}},
	} {
		_, err := Default().lookUp(s, o)
		require.ErrorAs(t, err, new(*UsageError), says)
		require.ErrorContains(t, err, says)
	}
	for _, s := range []Scenario{{}, {Mode: "fresh"}, {Workload: "append", Nemesis: []string{"kill"}}} {
		_, err := Default().lookUp(s, o)
		require.NoError(t, err)
	}
}

// lockable is a system that has sessions, whether or not these can be told what becomes of their locks.
type lockable struct {
	memorySystem
	abilities []history.Ability
}

func (l lockable) Facts() nodes.Facts {
	return nodes.Facts{Port: 1, Modes: []nodes.Mode{{Name: "fresh", Doc: "the last write"}}, Abilities: l.abilities,
		Ops: []history.Op{history.OpRead, history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease}}
}

// Sessions are asked for no more than the system can give them.
func TestSessionsFitTheSystem(t *testing.T) {
	for _, abilities := range [][]history.Ability{nil, {history.DelaysLocks}} {
		p, err := Default().lookUp(Scenario{Workload: "lock"}, Options{System: lockable{memorySystem{newMemory(newTrap("", "", 0))}, abilities}})
		require.NoError(t, err)
		delayed, kept := 0, 0
		for range 200 {
			op := p.generator.Next()
			if op.F != history.OpCreate {
				continue
			}
			if op.LockDelay > 0 {
				delayed++
			}
			if !op.DeletesKeys {
				kept++
			}
		}
		require.Equal(t, abilities != nil, delayed > 0)
		require.Equal(t, abilities != nil, kept > 0)
	}
}
