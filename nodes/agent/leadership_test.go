package agent

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/agent/internal/lease"
	"faultline/workloads/history"
)

func (n *node) leadership() *leadership { return n.agent.server.Load().lead.Load() }

// unattended is the same leadership without the goroutines that renew its lease.
func unattended(n *node) *leadership {
	l := n.leadership()
	return &leadership{s: l.s, term: l.term, ready: l.ready}
}

// awaitLease asks for leases until one is still good when it arrives.
func (l *leadership) awaitLease(t *testing.T) {
	t.Helper()
	eventually(t, "there is a lease", func() error {
		_, err := l.readIndex(t.Context())
		if err == nil && !l.leased() {
			return notLeader()
		}
		return err
	})
}

// What a reader saw of the key k: begun is when it sent the read.
type seenRead struct {
	begun time.Time
	value string
}

// A leader that is cut off answers no default or consistent read once its lease must be
// over, nor one that begins after a later write is acknowledged; and it finds its way back.
func TestCutOffLeaderDoesNotAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		old := c.leader(t)
		old.put(t, "k", "old")
		others := c.followers(t)
		old.wire.cut(old.host.ip, ips(c.nodes, old)...)
		cut := time.Now()

		var mu sync.Mutex
		var seen []seenRead
		refused := make(chan struct{}) // closed when a read that began late enough was refused
		acknowledged := make(chan time.Time, 1)
		var readers sync.WaitGroup
		for _, query := range []string{"", "&consistent"} {
			readers.Go(func() {
				var after time.Time
				for {
					begun := time.Now()
					ctx, cancel := context.WithTimeout(context.Background(), time.Second)
					a, err := old.tryWith(ctx, "GET", "/v1/kv/k?raw"+query, "")
					cancel()
					if err == nil && a.status == http.StatusOK {
						mu.Lock()
						seen = append(seen, seenRead{begun, a.body})
						mu.Unlock()
						continue
					}
					if after.IsZero() {
						select {
						case after = <-acknowledged:
							acknowledged <- after
						default:
						}
					}
					if !after.IsZero() && begun.After(after) {
						refused <- struct{}{}
						return
					}
				}
			})
		}
		eventually(t, "the others go on", func() error {
			_, err := others[0].try("PUT", "/v1/kv/k", "new")
			if err == nil && others[0].do(t, "GET", "/v1/kv/k?raw", "").body != "new" {
				return notLeader()
			}
			return err
		})
		later := time.Now()
		acknowledged <- later
		for range 2 {
			<-refused
		}
		readers.Wait()
		for _, r := range seen {
			require.Equal(t, "old", r.value)
			require.Less(t, r.begun.Sub(cut), testTimes.Heartbeat, "no lease outlives the last contact by more")
			require.True(t, r.begun.Before(later))
		}
		require.Equal(t, "old", string(old.get(t, "k", "stale").Value))
		write := old.do(t, "PUT", "/v1/kv/k", "late")
		require.Equal(t, history.NoLeader, write.code(), "it does not lead, so nothing was proposed")

		old.wire.heal()
		eventually(t, "it finds its way back", func() error {
			if a := old.do(t, "GET", "/v1/kv/k?raw&consistent", ""); a.body != "new" {
				return notLeader()
			}
			return nil
		})
	})
}

func TestTransfer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 1)
		client := c.nodes[3]
		for i := range 6 {
			client.put(t, "k", strconv.Itoa(i))
			old, to := c.leader(t), c.followers(t)[i%2]
			was := old.leadership()
			path := "/v1/operator/raft/transfer-leader"
			switch i % 3 {
			case 0:
				path += "?id=" + to.name
			case 1:
				path += "?id=" + to.agent.id
			}
			method := map[bool]string{true: "PUT", false: "POST"}[i%2 == 0]
			a := client.do(t, method, path, "")
			require.Equal(t, `{"Success":true}`, a.body)
			for _, n := range c.nodes { // at once, whoever leads by now
				for _, query := range []string{"", "consistent"} {
					require.Equal(t, strconv.Itoa(i), string(n.get(t, "k", query).Value), n.name)
				}
			}
			require.True(t, was.revoked.Load(), "no lease for the rest of the term")
			require.False(t, was.leased())
			if i%3 < 2 {
				require.Same(t, to, c.leader(t))
			}
			require.Contains(t, c.leader(t).do(t, "PUT", "/v1/operator/raft/transfer-leader?id="+c.leader(t).name, "").body, "leads already")
		}
	})
}

// A transfer that fails leaves a leader without a lease, which answers by ReadIndex.
func TestLeaderWithoutLeaseStillAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader, dead := c.leader(t), c.followers(t)[0]
		leader.put(t, "k", "v")
		dead.stop(t)
		l := leader.leadership()
		a := leader.do(t, "PUT", "/v1/operator/raft/transfer-leader?id="+dead.name, "")
		require.NotEqual(t, http.StatusOK, a.status)
		require.True(t, l.revoked.Load())
		require.False(t, l.leased())
		require.Equal(t, "v", string(leader.get(t, "k", "").Value))
		require.False(t, l.leased())
		leader.put(t, "k", "w")
	})
}

func TestConfirmBindsOnlyTheFollowersOfTheTerm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader := c.leader(t)
		l := leader.leadership()
		l.awaitLease(t)
		s := c.followers(t)[0].agent.server.Load()
		for name, args := range map[string]confirmArgs{
			"of an earlier term": {Term: l.term - 1, Leader: leader.agent.id},
			"of a later term":    {Term: l.term + 1, Leader: leader.agent.id},
			"of another leader":  {Term: l.term, Leader: "somebody"},
		} {
			reply, err := s.confirm(t.Context(), args)
			require.NoError(t, err)
			require.False(t, reply.Follows, name)
			require.Equal(t, l.term, reply.Term)
		}
		own, err := l.s.confirm(t.Context(), confirmArgs{Term: l.term, Leader: leader.agent.id})
		require.NoError(t, err)
		require.False(t, own.Follows, "a leader follows nobody")
	})
}

// What ends a lease early: the clock, another peer set, a transfer. ReadIndex still works.
func TestLeaseEnds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader := c.leader(t)
		l := unattended(leader)
		l.awaitLease(t)
		leader.host.ahead.Add(int64(testTimes.Heartbeat))
		require.False(t, l.leased(), "its time is over")

		l.awaitLease(t)
		before := *l.lease.Load()
		l.lease.Store(&leaseState{end: lease.Forever, voters: before.voters[:2]})
		require.False(t, l.leased(), "it stands on another peer set")

		l.awaitLease(t)
		l.revoked.Store(true)
		_, err := l.readIndex(t.Context())
		require.NoError(t, err)
		require.False(t, l.leased(), "it is revoked")
	})
}

// A batch serves only requests that came before it began.
func TestRoundsAreSharedForward(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1, 0)
		l := unattended(c.leader(t))
		l.reads.running = true // as if one were under way: nobody starts the next
		first, second := l.joinBatch(), l.joinBatch()
		require.Same(t, first, second, "those who wait share the next")
		require.False(t, closed(first.done))
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.readIndex(ended)
		require.Equal(t, history.Timeout, nodes.CodeOf(err))
		l.runBatches()
		require.True(t, closed(first.done))
		require.NoError(t, first.err)
		require.NotSame(t, first, l.joinBatch())
	})
}

func TestSameVoters(t *testing.T) {
	a, b, c := raft.Server{ID: "a", Address: "1"}, raft.Server{ID: "b"}, raft.Server{ID: "c"}
	require.True(t, sameVoters([]raft.Server{a, b}, []raft.Server{b, {ID: "a", Address: "2"}}))
	require.False(t, sameVoters([]raft.Server{a, b}, []raft.Server{a, c}))
	require.False(t, sameVoters([]raft.Server{a, b}, []raft.Server{a, b, c}))
}
