package nemesis

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/workloads/history"
)

// lateVoter lets a server have no vote until a moment of the run.
func lateVoter(f *fake, node string, until time.Duration) {
	f.shy[node] = true
	time.AfterFunc(until, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.shy, node)
		f.joinAll()
	})
}

// watchMajority looks all the time whether a majority of those who vote runs; over tells, once, whether it did not at
// some moment.
func watchMajority(t *testing.T, f *fake) (over func() bool) {
	ctx, cancel := context.WithCancel(t.Context())
	lost, done := false, make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 5*time.Millisecond) == nil {
			f.mu.Lock()
			running, voters := 0, 0
			for _, n := range f.topology.Nodes() {
				if f.peers[n.Name] {
					voters++
					if f.process(n.Name) == faults.Running {
						running++
					}
				}
			}
			f.mu.Unlock()
			lost = lost || running < majorityOf(voters)
		}
	}()
	return func() bool {
		cancel()
		<-done
		return lost
	}
}

func TestStepsThatTakeVotersWaitForAMajority(t *testing.T) {
	const waits = "{at: 1s, for: 3s, fault: leave, target: [dc1-s1]}\n  - {at: 4s, for: 20s, fault: remove, target: [dc1-s2]}"
	for _, c := range []struct {
		name, layout, steps string
		lie                 func(f *fake)
		start, startError   string // of the last step: in what is measured, and why it is not proved
		heal, healError     string
		lost                bool // a majority, at some moment
	}{
		{"a newcomer votes late", "dc1-3", waits, func(f *fake) { lateVoter(f, "dc1-s1", 12*time.Second) },
			"waited, since of 2 voters dc1-s2, dc1-s3 run, and without dc1-s2 1 would, which is no majority; the peers are dc1-s1, dc1-s3; dc1-s2 not running; 8s late", "",
			"dc1-s2 votes as dc1-s2/0", "", false},
		{"and never", "dc1-3", waits, func(f *fake) { f.shy["dc1-s1"] = true },
			"", "not done: of 2 voters dc1-s2, dc1-s3 run, and without dc1-s2 1 would, which is no majority", "", "", false},
		{"the step may go below", "dc1-3", strings.Replace(waits, "fault: remove", "below-majority: true, fault: replace", 1), func(f *fake) { f.shy["dc1-s1"] = true },
			"dc1-s2 was dc1-s2/0; dc1-s2 absent", "", "dc1-s2 answers as dc1-s2/1", "", true},
		{"another is killed meanwhile", "dc1-3", "{at: 1s, for: 5s, fault: kill, target: [dc1-s3]}\n  - {at: 2s, for: 10s, fault: leave, target: [dc1-s2]}", nil,
			"waited, since of 3 voters dc1-s1, dc1-s2 run, and without dc1-s2 1 would, which is no majority; dc1-s2 ended by itself; the peers are dc1-s1, dc1-s3; dc1-s2 not running; 4.3s late", "",
			"dc1-s2 votes", "", false},
		{"two at once", "dc1-5", "{at: 1s, for: 9s, fault: kill, target: [dc1-s5]}\n  - {at: 2s, for: 5s, fault: replace, target: [dc1-s1, dc1-s2]}", nil,
			"", "not done: of 5 voters dc1-s1, dc1-s2, dc1-s3, dc1-s4 run, and without dc1-s1, dc1-s2 2 would", "", "", false},
		{"the leader", "dc1-3", "{at: 1s, for: 5s, fault: pause, target: [dc1-s3]}\n  - {at: 2s, for: 10s, fault: replace, target: primary}", nil,
			"waited, since of 3 voters dc1-s1, dc1-s2 run, and without dc1-s1 1 would", "", "dc1-s1 votes as dc1-s1/1", "", false},
		{"a spare that leaves again", "dc1-3x2", "{at: 5s, for: 4s, fault: kill, target: [dc1-s1]}\n  - {at: 1s, for: 5s, fault: join, target: [dc1-x1]}", nil,
			"dc1-x1 votes", "", "waited, since of 4 voters dc1-s2, dc1-s3, dc1-x1 run, and without dc1-x1 2 would, which is no majority; dc1-x1 ended by itself; the peers are dc1-s1, dc1-s2, dc1-s3; dc1-x1 absent; 3.3s late", "", false},
		{"and may not until the end", "dc1-3x2", "{at: 1s, for: 2s, fault: replace, target: [dc1-s1]}\n  - {at: 1500ms, for: 6s, fault: join, target: [dc1-x1, dc1-x2]}",
			func(f *fake) { f.shy["dc1-s1"] = true },
			"dc1-x2 votes", "", "", "of 4 voters dc1-s2, dc1-s3, dc1-x1, dc1-x2 run, and without dc1-x1, dc1-x2 2 would, which is no majority", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(layout(t, c.layout))
				if c.lie != nil {
					c.lie(f)
					f.peers["dc1-s1"] = true // it votes until something is done to it
				}
				over := watchMajority(t, f)
				p := play(t, t.Context(), f, parse(t, "steps:\n  - "+c.steps+"\n"))
				lost := over()
				require.NoError(t, p.err)
				require.Len(t, p.faults, 2)
				last := p.faults[slices.IndexFunc(p.faults, func(f history.Fault) bool { return f.Step == 1 })]
				require.Equal(t, c.startError == "", last.Verified, "%+v", last)
				require.Contains(t, last.Measured, c.start)
				require.Contains(t, last.Error, c.startError)
				require.Contains(t, last.HealMeasured, c.heal)
				require.Equal(t, c.startError+c.healError == "", last.HealVerified, "%+v", last)
				require.Contains(t, last.Error, c.healError)
				require.Equal(t, c.lost, lost)
				for _, fault := range p.faults {
					if fault.Name == "kill" {
						require.NotContains(t, fault.HealMeasured, "late", "the schedule goes on")
					}
				}
			})
		})
	}
}

// What waits when the run is cut short has not begun.
func TestAnInterruptedRunDoesNotWaitForVoters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		p := play(t, ctx, f, parse(t, `steps:
  - {at: 1s, for: 20s, fault: kill, target: [dc1-s3]}
  - {at: 2s, for: 30s, fault: remove, target: [dc1-s2]}
`))
		require.NoError(t, p.err)
		require.Len(t, p.faults, 1)
		require.True(t, p.faults[0].HealVerified && p.baseline.Verified)
		require.Less(t, time.Since(f.started), 8*time.Second)
	})
}

// plain is a client of a system whose peer set cannot be looked at.
type plain struct {
	nodes.Conn
	nodes.Leaver
}

func TestWhereNobodySaysWhoVotesStepsAreDoneAsEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(layout(t, "dc1-3"))
		path := filepath.Join(t.TempDir(), "h")
		log, err := history.Create(path)
		require.NoError(t, err)
		_, err = Play(t.Context(), parse(t, `steps:
  - {at: 1s, for: 20s, fault: kill, target: [dc1-s3]}
  - {at: 2s, for: 5s, fault: leave, target: [dc1-s2]}
  - {at: 9s, for: 5s, fault: replace, target: [dc1-s2]}
`), World{Topology: f.topology, Cluster: f, Leader: f.Leader, Log: log,
			Conn: func(node string) nodes.Conn { return plain{f.Conn(node), f.Conn(node).(nodes.Leaver)} }})
		require.NoError(t, err)
		require.NoError(t, log.Close())
		events, _, err := history.ReadFile(path)
		require.NoError(t, err)
		faults, _, err := history.Faults(events)
		require.NoError(t, err)
		require.Equal(t, "who votes cannot be asked; dc1-s2 ended by itself; dc1-s2 not running", faults[1].Measured)
		require.Equal(t, "who votes cannot be asked; dc1-s2 running", faults[1].HealMeasured)
		require.True(t, faults[1].Verified && faults[1].HealVerified)
		require.Contains(t, faults[2].Error, "clients of this system cannot look at the peer set", "as ever")
	})
}
