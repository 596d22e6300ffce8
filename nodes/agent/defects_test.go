package agent

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/nodes/agent/internal/storage"
	"faultline/nodes/agent/internal/storage/fakedisk"
	"faultline/workloads/history"
)

func TestStaleFollowerRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = []string{StaleFollowerRead} })
		follower := c.followers(t)[0]
		c.leader(t).put(t, "k", "old")
		follower.awaitValue(t, "k", "old")
		follower.wire.cut(follower.host.ip, ips(c.nodes, follower)...)
		c.leader(t).put(t, "k", "new")
		a := follower.do(t, "GET", "/v1/kv/k?raw", "")
		require.Equal(t, "old", a.body, "the write that was acknowledged before is not seen")
		require.Len(t, a.hops(t), 1)
		follower.wire.heal()
		follower.awaitValue(t, "k", "new")
	})
}

// A leader that nobody hears, but which has not noticed that yet, is asked to write.
func TestAckBeforeCommit(t *testing.T) {
	for _, names := range [][]string{nil, {AckBeforeCommit}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 2, 0, func(config *Config) {
					config.DefectNames = names
					config.Times = &Times{Heartbeat: 2 * second, Election: 2 * second, LeaderLease: 2 * second, Commit: testTimes.Commit}
				})
				leader := c.leader(t)
				leader.wire.cut(leader.host.ip, ips(c.nodes, leader)...)
				a := leader.do(t, "PUT", "/v1/kv/k", "v")
				if names != nil {
					require.Equal(t, "true", a.body)
					return
				}
				require.NotEqual(t, http.StatusOK, a.status)
				require.False(t, a.code().Definite(), "it may be committed yet: %s", a.code())
			})
		})
	}
}

func TestCASCheckedByFollower(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = []string{CASCheckedByFollower} })
		follower := c.followers(t)[0]
		index := c.leader(t).put(t, "k", "one")
		follower.awaitValue(t, "k", "one")
		a := follower.do(t, "PUT", "/v1/kv/k?cas=1", "two")
		require.Equal(t, "false", a.body)
		require.Len(t, a.hops(t), 1, "the leader was not asked")
		require.Equal(t, itoa(index), a.header.Get(nodes.HeaderCurrentIndex))

		s := follower.agent.server.Load()
		sent, done := s.checkCASHere(writeArgs{kv.Command{Op: kv.CAS, Key: "k", Value: []byte("two"), Index: index}.Append(nil)})
		require.Nil(t, done)
		command, err := kv.ParseCommand(sent.Command)
		require.NoError(t, err)
		require.Equal(t, kv.Put, command.Op, "what is sent has no condition")
		c.leader(t).put(t, "k", "between")
		reply, err := c.leader(t).agent.server.Load().write(t.Context(), sent)
		require.NoError(t, err)
		require.True(t, reply.OK, "though the key has changed")
	})
}

// The keys with a prefix are deleted by as many log entries as there are.
func TestDeleteTreeKeyByKey(t *testing.T) {
	for _, names := range [][]string{nil, {DeleteTreeKeyByKey}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 1, 0, func(config *Config) { config.DefectNames = names })
				leader := c.leader(t)
				leader.put(t, "a/1", "v")
				last := leader.put(t, "a/2", "v")
				a := leader.do(t, "DELETE", "/v1/kv/a/?recurse", "")
				require.Equal(t, "true", a.body)
				require.Equal(t, http.StatusNotFound, leader.do(t, "GET", "/v1/kv/a/?recurse", "").status)
				entries := uint64(1)
				if names != nil {
					entries = 3 // two keys, and one that only says that all is done
				}
				require.Equal(t, itoa(last+entries), a.header.Get(nodes.HeaderIndex))
			})
		})
	}
}

// What a listing holds of its second half was written after the first had been read.
func TestListInHalves(t *testing.T) {
	for _, names := range [][]string{nil, {ListInHalves}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 1, 0, func(config *Config) { config.DefectNames = names })
				leader := c.leader(t)
				s := leader.agent.server.Load()
				for _, key := range []string{"a/1", "a/2"} {
					leader.put(t, key, "old")
				}
				q := kv.Query{Kind: kv.List, Key: "a/"}
				before := s.store.Query(q)
				for _, key := range []string{"a/1", "a/2"} {
					leader.put(t, key, "new")
				}
				both := s.secondHalf(before, q)
				require.Equal(t, "old", string(both.Entries[0].Value))
				require.Equal(t, "new", string(both.Entries[1].Value))
				require.Len(t, both.Entries, 2)
				took := time.Now()
				require.Equal(t, http.StatusOK, leader.do(t, "GET", "/v1/kv/a/?recurse", "").status)
				require.Equal(t, names != nil, time.Since(took) >= 10*time.Millisecond, "time is virtual here")
			})
		})
	}
}

func TestListFromFollower(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = []string{ListFromFollower} })
		follower := c.followers(t)[0]
		c.leader(t).put(t, "k", "v")
		require.Len(t, follower.do(t, "GET", "/v1/kv/k?recurse", "").hops(t), 1)
		require.Len(t, follower.do(t, "GET", "/v1/kv/k?keys", "").hops(t), 1)
		require.Len(t, follower.do(t, "GET", "/v1/kv/k", "").hops(t), 2, "reads of a key are as they should be")
		require.Len(t, follower.do(t, "GET", "/v1/kv/k?recurse&consistent", "").hops(t), 2)
	})
}

// A leader that is not ready yet, by the two defects that do not care.
func TestReadsBeforeReady(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		s := c.leader(t).agent.server.Load()
		term, leads := s.leading()
		require.True(t, leads)
		unready := &leadership{s: s, term: term, ready: make(chan struct{})}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.Error(t, unready.awaitConsistent(ended, nil))
		require.NoError(t, unready.awaitConsistent(t.Context(), defects{ConsistentReadBeforeApply: true}))

		s.lead.Store(unready) // stays while the term does
		require.Error(t, s.freshen(ended, history.ModeDefault))
		deposed := &server{a: &Agent{settings: s.a.settings, host: s.a.host}, raft: s.raft}
		deposed.a.defects = defects{DeposedLeaderRead: true}
		require.NoError(t, deposed.freshen(ended, history.ModeDefault), "being in the leader's state is enough")
		require.Error(t, deposed.freshen(ended, history.ModeConsistent), "for default reads")
	})
}

// The clock is set back while a lease runs: by the wall clock it would run on.
func TestWallClockLease(t *testing.T) {
	for _, names := range [][]string{nil, {WallClockLease}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = names })
				leader := c.leader(t)
				l := unattended(leader)
				l.awaitLease(t)
				leader.host.wall.Add(-int64(time.Hour))
				leader.host.ahead.Add(int64(testTimes.Heartbeat))
				require.Equal(t, names != nil, l.leased())
			})
		})
	}
}

// A disk that loses what was not synced, names included.
func TestNoFsync(t *testing.T) {
	for _, plant := range []func(nodes.Disk) nodes.Disk{
		nil,
		func(d nodes.Disk) nodes.Disk { return noFsyncDisk{d} },
		func(d nodes.Disk) nodes.Disk { return noDirFsyncDisk{d} },
	} {
		physical := fakedisk.New()
		var disk nodes.Disk = physical
		careful := plant == nil
		if !careful {
			disk = plant(disk)
		}
		log, err := storage.OpenLog(disk, "raft")
		require.NoError(t, err)
		require.NoError(t, log.StoreLog(&raft.Log{Index: 1, Term: 1, Data: []byte("kept")}))
		again, err := storage.OpenLog(physical.PowerLoss(fakedisk.Fates["nothing"]), "raft")
		require.NoError(t, err)
		last, err := again.LastIndex()
		require.NoError(t, err)
		require.Equal(t, careful, last == 1)
	}
}

// A server that joins, and has all that is asked of a voter.
func TestNeverPromotes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0, func(config *Config) { config.DefectNames = []string{NeverPromotes} })
		leader := c.leader(t)
		spare := c.start(c.config("s2", 2, 1), t.TempDir(), func(config *Config) { config.BootstrapExpect = 0 })
		l := leader.leadership()
		eventually(t, "it is a peer that could vote", func() error {
			peers := leader.agent.server.Load().raft.GetConfiguration().Configuration().Servers
			if len(peers) != 2 || !l.changeReady(t.Context(), peerChange{Action: promotePeer, Addr: raft.ServerAddress(spare.agent.rpcAddr())}) {
				return fmt.Errorf("not yet: %v", peers)
			}
			return nil
		})
		require.Equal(t, reconcileInterval, l.reconcileOnce(t.Context()), "nothing is left to do")
		require.Len(t, leader.agent.server.Load().voters(), 1)
	})
}

// One of three is gone, which is no reason not to answer.
func TestWaitsForEveryPeer(t *testing.T) {
	for _, names := range [][]string{nil, {WaitsForEveryPeer}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = names })
				leader, gone := c.leader(t), c.followers(t)[0]
				l := leader.leadership()
				require.True(t, l.everyPeerAnswers(t.Context()))
				gone.stop(t)
				require.False(t, l.everyPeerAnswers(t.Context()))
				ctx, cancel := context.WithTimeout(t.Context(), 3*second)
				defer cancel()
				unready := &leadership{s: l.s, term: l.term, ready: make(chan struct{})}
				unready.becomeReady(ctx)
				require.Equal(t, names == nil, closed(unready.ready))
			})
		})
	}
}

// One of two followers has the leader behind it, and the other the other follower.
func TestForwardsToNeighbour(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0, func(config *Config) { config.DefectNames = []string{ForwardsToNeighbour} })
		lengths := map[int]bool{}
		for _, n := range c.servers() {
			hops := n.do(t, "PUT", "/v1/kv/k", "v").hops(t)
			require.Equal(t, history.RoleLeader, hops[len(hops)-1].Role, "it gets there")
			lengths[len(hops)] = true
		}
		require.Equal(t, map[int]bool{1: true, 2: true, 3: true}, lengths)
	})
}

func TestLeaksGoroutines(t *testing.T) {
	for _, names := range [][]string{nil, {LeaksGoroutines}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := startCluster(t, 2, 0, func(config *Config) { config.DefectNames = names })
				follower := c.followers(t)[0]
				follower.put(t, "k", "v")
				before := runtime.NumGoroutine()
				for range 200 {
					follower.put(t, "k", "v")
				}
				require.Equal(t, names != nil, runtime.NumGoroutine() > before+150)
			})
		})
	}
}
