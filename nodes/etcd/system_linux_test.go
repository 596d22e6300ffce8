package etcd_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/etcd"
	"faultline/nodes/faults"
	"faultline/nodes/local"
	"faultline/topologies"
	"faultline/workloads/history"
)

// binary is the variable with the path of an etcd, as ci/etcd-binary.sh prints it.
const binary = "FAULTLINE_ETCD"

const patience = 30 * time.Second

// real is a cluster of real nodes.
type real struct {
	nodes.Cluster
	t        *testing.T
	topology topologies.Topology
	conns    map[string]nodes.Conn
}

// up starts a cluster on the runtime local, and removes it after the test.
func up(t *testing.T, layout string) real {
	t.Helper()
	path := os.Getenv(binary)
	if path == "" {
		t.Skip(binary + " names no etcd; ci/etcd-binary.sh builds one")
	}
	runtime := local.New()
	if err := runtime.Check(t.Context()); err != nil {
		if os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "" {
			t.Fatalf("FAULTLINE_REQUIRE_LOCAL is set, but: %v", err)
		}
		t.Skip(err)
	}
	system, err := etcd.New(etcd.Options{Binary: path})
	require.NoError(t, err)
	require.NoError(t, system.Ready(t.Context()))
	topology, err := topologies.Load(layout)
	require.NoError(t, err)
	cluster, err := runtime.Start(t.Context(), nodes.Spec{Run: "etcd-" + layout, Topology: topology, System: system,
		Baseline: topology.Baseline(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, cluster.Close(ctx))
	})
	r := real{cluster, t, topology, map[string]nodes.Conn{}}
	for _, n := range topology.Nodes() {
		conn := system.Open(cluster.Endpoint(n.Name))
		t.Cleanup(conn.Close)
		r.conns[n.Name] = conn
	}
	return r
}

func (r real) on(node string) nodes.Methods { return nodes.Methods{Conn: r.conns[node]} }

// ready waits until nodes know a leader in a term that is told, and returns it.
func (r real) ready(names ...string) (leader string) {
	r.t.Helper()
	for _, name := range names {
		require.Eventually(r.t, func() bool {
			o, err := r.conns[name].Observe(r.t.Context())
			leader = o.Leader
			return err == nil && leader != "" && o.Term > 0
		}, patience, 50*time.Millisecond, "%s knows no leader", name)
	}
	return leader
}

// set brings nodes' processes into a state; the others are as in the baseline.
func (r real) set(state faults.ProcessState, names ...string) {
	r.t.Helper()
	want := r.topology.Baseline()
	want.SetProcess(names, state)
	require.NoError(r.t, r.Set(r.t.Context(), want))
}

const s1, s2, s3, x1 = "dc1-s1", "dc1-s2", "dc1-s3", "dc1-x1"

func TestKeysAndLocksOfARealEtcd(t *testing.T) {
	t.Parallel()
	r := up(t, "dc1-3")
	r.ready(s1, s2, s3)
	ctx := t.Context()

	absent, err := r.on(s1).Get(ctx, "k", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Next: 1}, absent, "the first revision of all")
	made, err := r.on(s1).CAS(ctx, "k", "1", 0)
	require.NoError(t, err)
	current, err := r.on(s2).CAS(ctx, "k", "2", 0)
	require.Equal(t, history.CASMismatch, nodes.CodeOf(err))
	require.Equal(t, nodes.Answer{Value: "1", Found: true, Index: made.Index, HasCurrent: true,
		Entry: history.Entry{Value: "1", CreateIndex: made.Index, ModifyIndex: made.Index}}, current)
	next, err := r.on(s2).CAS(ctx, "k", "2", made.Index)
	require.NoError(t, err)
	require.Greater(t, next.Index, made.Index)
	read, err := r.on(s3).Get(ctx, "k", "linearizable")
	require.NoError(t, err)
	require.Equal(t, nodes.Answer{Value: "2", Found: true, Index: next.Index, Next: next.Index,
		Entry: history.Entry{Value: "2", CreateIndex: made.Index, ModifyIndex: next.Index}}, read)
	_, err = r.on(s3).Get(ctx, "k", etcd.ModeSerializable)
	require.NoError(t, err)
	_, err = r.on(s3).Put(ctx, "", "1")
	require.Equal(t, history.BadRequest, nodes.CodeOf(err))

	one, err := r.on(s1).CreateSession(ctx, time.Minute, 0, false)
	require.NoError(t, err)
	two, err := r.on(s2).CreateSession(ctx, time.Minute, 0, false)
	require.NoError(t, err)
	require.NoError(t, r.on(s3).RenewSession(ctx, one))
	first, err := r.on(s1).Acquire(ctx, "lock", "one", one)
	require.NoError(t, err)
	again, err := r.on(s2).Acquire(ctx, "lock", "one", one)
	require.NoError(t, err)
	_, err = r.on(s2).Acquire(ctx, "lock", "two", two)
	require.Equal(t, history.LockHeld, nodes.CodeOf(err))
	_, err = r.on(s2).Release(ctx, "lock", "two", two)
	require.Equal(t, history.LockHeld, nodes.CodeOf(err))
	free, err := r.on(s1).Release(ctx, "lock", "free", one)
	require.NoError(t, err)
	third, err := r.on(s2).Acquire(ctx, "lock", "two", two)
	require.NoError(t, err)
	require.IsIncreasing(t, []uint64{first.Index, again.Index, free.Index, third.Index})
	require.NoError(t, r.on(s3).DestroySession(ctx, two))
	last, err := r.on(s1).Acquire(ctx, "lock", "one", one) // etcd has deleted the key
	require.NoError(t, err)
	require.Greater(t, last.Index, third.Index)
	for _, err := range []error{r.on(s1).RenewSession(ctx, two), r.on(s2).DestroySession(ctx, two)} {
		require.Equal(t, history.NoSession, nodes.CodeOf(err))
	}
	_, err = r.on(s3).Acquire(ctx, "lock3", "two", two)
	require.Equal(t, history.NoSession, nodes.CodeOf(err))
}

func TestMembersOfARealEtcd(t *testing.T) {
	t.Parallel()
	r := up(t, "dc1-3x2")
	ctx := t.Context()
	leader := r.ready(s1, s2, s3)
	_, err := r.on(s1).Put(ctx, "k", "1")
	require.NoError(t, err)

	transfer, ok := nodes.AsLeaders(r.conns[leader])
	require.True(t, ok)
	require.NoError(t, transfer.Transfer(ctx, ""))
	next := r.ready(leader)
	require.NotEqual(t, leader, next)
	require.Equal(t, history.NotLeader, nodes.CodeOf(transfer.Transfer(ctx, "")))

	was := r.identity(s2)
	r.set(faults.Killed, s2) // it keeps its disk, and who it was
	r.set(faults.Running, s2)
	r.votes(s2, s1)
	require.Equal(t, was, r.identity(s2))

	leaver, ok := nodes.AsLeaver(r.conns[s2])
	require.True(t, ok)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := leaver.Leave(limited); err != nil {
		require.False(t, nodes.CodeOf(err).Definite(), "%v", err) // the answer may be lost with the node
	}
	require.NoError(t, r.Exited(limited, s2))
	r.set(faults.Killed, s2) // as the fault leave has it
	r.set(faults.Running, s2)
	r.votes(s2, s1)
	left := r.identity(s2)
	require.NotEqual(t, was, left)

	r.set(faults.Wiped, s2) // a new machine
	r.set(faults.Running, s2)
	r.votes(s2, s1)
	require.NotEqual(t, left, r.identity(s2))

	want := r.topology.Baseline()
	delete(want.Processes, x1)
	require.NoError(t, r.Set(ctx, want))
	r.votes(x1, s1)
	read, err := r.on(x1).Get(ctx, "k", history.ModeDefault)
	require.NoError(t, err)
	require.Equal(t, "1", read.Value)
}

func (r real) identity(node string) string {
	r.t.Helper()
	r.ready(node)
	members, ok := nodes.AsMembers(r.conns[node])
	require.True(r.t, ok)
	id, err := members.Identity(r.t.Context())
	require.NoError(r.t, err)
	return id
}

// votes waits until a node is a voter, by the word of another.
func (r real) votes(node, by string) {
	r.t.Helper()
	id := r.identity(node)
	members, ok := nodes.AsMembers(r.conns[by])
	require.True(r.t, ok)
	require.Eventually(r.t, func() bool {
		peers, err := members.Peers(r.t.Context())
		require.NoError(r.t, err)
		for _, p := range peers {
			if p.ID == id && p.Voter && p.Node == node {
				return true
			}
		}
		return false
	}, patience, 50*time.Millisecond)
}
