package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/nodes/agent/internal/lease"
	"faultline/nodes/agent/internal/rpc"
	"faultline/nodes/agent/internal/storage"
)

// server is what a server agent has beyond a client agent: its Raft and its copy of the
// store.
type server struct {
	a            *Agent
	raft         *raft.Raft
	store        *kv.Store
	log          *storage.Log
	filter       *transportFilter
	empty        bool                       // the disk held no Raft state when it was opened
	lead         atomic.Pointer[leadership] // nil while it does not lead
	oldLeader    atomic.Pointer[string]     // of the defect forwards-to-old-leader
	delays       lockDelays
	transferTerm atomic.Uint64 // the term in which it last began to hand over
	stopped      chan struct{} // closed when Raft no longer answers
	loops        sync.WaitGroup
	stopLoops    context.CancelFunc
}

// openServer reads the disk and joins the Raft of the datacenter. On a disk that has
// been used it first keeps silent for as long as an earlier life's promises may bind
// (lease.Silence).
func openServer(ctx context.Context, a *Agent) (*server, error) {
	s := &server{a: a, store: kv.NewStore(), stopped: make(chan struct{}), delays: lockDelays{until: map[string]time.Duration{}}}
	s.store.OnEnd(s.sessionEnded)
	s.store.Plant(kv.Defects{SnapshotDropsKey: a.defects[SnapshotDropsKey], SnapshotKeepsDeleted: a.defects[SnapshotKeepsDeleted], RestoreResetsIndex: a.defects[RestoreResetsIndex],
		ReleaseByAnyone: a.defects[ReleaseByAnyone], EndFreesOneKey: a.defects[SessionEndFreesOneKey],
		DeleteReleases: a.defects[DeleteBehaviorReleases], SnapshotDropsSessions: a.defects[SnapshotDropsSessions], Skips: s.skips})
	disk := a.host.Disk()
	if a.defects[NoFsync] {
		disk = noFsyncDisk{disk}
	}
	if a.defects[NoDirFsync] {
		disk = noDirFsyncDisk{disk}
	}
	var err error
	if s.log, err = storage.OpenLog(disk, "raft"); err != nil {
		return nil, err
	}
	if err = s.openRaft(ctx, disk); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	loops, cancel := context.WithCancel(context.Background())
	s.stopLoops = cancel
	s.loops.Go(func() { s.followLeadership(loops) })
	if s.empty && a.BootstrapExpect > 0 {
		s.loops.Go(func() { s.bootstrap(loops) })
	}
	return s, nil
}

func (s *server) openRaft(ctx context.Context, disk nodes.Disk) error {
	snapshots, err := storage.OpenSnapshots(disk, "raft/snapshots", 2)
	if err != nil {
		return err
	}
	used, err := raft.HasExistingState(s.log, s.log, snapshots)
	if err != nil {
		return err
	}
	if s.empty = !used; used {
		if err := sleep(ctx, lease.Silence(s.a.times.Heartbeat)); err != nil {
			return err
		}
	}
	cache, err := raft.NewLogCache(512, s.log)
	if err != nil {
		return err
	}
	s.filter = newTransportFilter(raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Logger:          hclogFor(s.a.log, "raft-net"),
		Stream:          s.a.port.raft,
		MaxPool:         3,
		MaxRPCsInFlight: 1,                       // with 2, Shutdown may wait forever for a pipeline that is stuck
		Timeout:         2 * s.a.times.Heartbeat, // gives up connections that a dropped link has silenced
	}), s.sendTimeoutNow, s.mayVote, s.knownCommit)
	s.raft, err = raft.NewRaft(s.raftConfig(), s.store, cache, s.log, snapshots, s.filter)
	if err != nil {
		return errors.Join(fmt.Errorf("raft: %w", err), s.filter.Close())
	}
	s.filter.open(s.raft)
	return nil
}

func (s *server) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(s.a.id)
	c.Logger = hclogFor(s.a.log, "raft")
	c.HeartbeatTimeout = s.a.times.Heartbeat
	c.ElectionTimeout = s.a.times.Election
	c.LeaderLeaseTimeout = s.a.times.LeaderLease
	c.CommitTimeout = s.a.times.Commit
	c.MaxAppendEntries = 256
	c.ShutdownOnRemove = false // it may be added again
	// Apply's channel stays unbuffered: Raft gathers as many waiting writes for one fsync
	// either way, and an entry that lies in a buffer when Raft stops is never answered.
	c.BatchApplyCh = false
	age := s.a.Snapshots
	c.SnapshotInterval, c.SnapshotThreshold, c.TrailingLogs = age.Interval, age.Threshold, age.Trailing
	return c
}

// skips is the defect follower-skips-entries.
func (s *server) skips(index uint64) bool {
	return s.a.defects[FollowerSkipsEntries] && s.lead.Load() == nil && index%skippedEntry == 0
}

// leading reports whether this server is Raft's leader, and of which term. A leader's term is
// fixed, so a term that reads the same before and after the state belongs to the state.
func (s *server) leading() (term uint64, yes bool) {
	term = s.raft.CurrentTerm()
	yes = s.raft.State() == raft.Leader
	return term, yes && term == s.raft.CurrentTerm()
}

// knownCommit is the highest index that this server knows to be committed: it has applied it,
// or has it in its log.
func (s *server) knownCommit() uint64 { return max(s.store.Applied(), s.raft.CommitIndex()) }

// mayVote reports whether this server's own log says that it is of the peer set. See transportFilter.
func (s *server) mayVote() bool {
	return s.a.defects[RejoinsWithEmptyLog] ||
		slices.ContainsFunc(s.raft.GetConfiguration().Configuration().Servers, func(p raft.Server) bool {
			return string(p.ID) == s.a.id
		})
}

// voters returns the voters of the latest peer set.
func (s *server) voters() []raft.Server {
	var voters []raft.Server
	for _, v := range s.raft.GetConfiguration().Configuration().Servers {
		if v.Suffrage == raft.Voter {
			voters = append(voters, v)
		}
	}
	return voters
}

// leaderAddr is where the leader that this server follows takes calls; empty if it
// knows none.
func (s *server) leaderAddr() string {
	addr, _ := s.raft.LeaderWithID()
	return string(addr)
}

// await waits for a future of Raft, but no longer than ctx or Raft itself live.
func (s *server) await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-s.stopped:
		return raft.ErrRaftShutdown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops Raft. The port must still be open, and is closed after.
func (s *server) close() error {
	s.stopLoops()
	err := s.raft.Shutdown().Error()
	close(s.stopped)
	s.loops.Wait()
	return errors.Join(err, s.filter.Close(), s.log.Close())
}

// call asks another server.
func (a *Agent) call(ctx context.Context, addr string, request rpc.Request) (*rpc.Response, error) {
	return a.calls.Call(ctx, addr, request)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
