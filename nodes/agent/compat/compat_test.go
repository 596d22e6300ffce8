package compat

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
)

// TestHashiCorpsClient plays one cluster's life, ending with its dissolution: the order
// of the parts matters.
func TestHashiCorpsClient(t *testing.T) {
	all := startCluster(t)
	for _, a := range all {
		t.Run("kv/"+a.name, func(t *testing.T) { testKV(t, a) })
		t.Run("modes/"+a.name, func(t *testing.T) { testModes(t, a) })
		t.Run("blocking/"+a.name, func(t *testing.T) { testBlocking(t, a, all[0]) })
		t.Run("agent/"+a.name, func(t *testing.T) { testAgent(t, a) })
	}
	t.Run("lock", func(t *testing.T) { testLock(t, all[1], all[3]) })
	t.Run("status", func(t *testing.T) { testStatus(t, all) })
	t.Run("configuration", func(t *testing.T) { testConfiguration(t, all) })
	t.Run("remove peer", func(t *testing.T) { testRemovePeer(t, all) })
	t.Run("transfer", func(t *testing.T) { testTransfer(t, all) })
	t.Run("leave of a client", func(t *testing.T) { testLeave(t, all[3], all[0], 3) })
	t.Run("leave of a server", func(t *testing.T) { testLeave(t, all[2], all[0], 2) })
}

// testLock has two clients compete by HashiCorp's own recipe, which blocks, renews and watches.
func testLock(t *testing.T, one, other *agent) {
	options := func() *api.LockOptions {
		return &api.LockOptions{Key: "recipe/lock", SessionTTL: "10s", LockDelay: time.Millisecond, LockWaitTime: time.Second}
	}
	first, err := one.LockOpts(options())
	require.NoError(t, err)
	lost, err := first.Lock(nil)
	require.NoError(t, err)
	require.NotNil(t, lost)
	second, err := other.LockOpts(options())
	require.NoError(t, err)
	got := make(chan error, 1)
	go func() {
		_, err := second.Lock(nil)
		got <- err
	}()
	select {
	case err := <-got:
		require.Fail(t, "the second got the lock while the first had it", "%v", err)
	case <-time.After(time.Second):
	}
	require.NoError(t, first.Unlock())
	require.NoError(t, <-got)
	require.NoError(t, second.Unlock())
	require.NoError(t, second.Destroy())

	session := one.Session()
	id, _, err := session.CreateNoChecks(&api.SessionEntry{Name: "mine", TTL: "10s", Behavior: api.SessionBehaviorDelete}, nil)
	require.NoError(t, err)
	entry, _, err := session.Info(id, nil)
	require.NoError(t, err)
	require.Equal(t, "mine", entry.Name)
	require.Equal(t, "10s", entry.TTL)
	require.Equal(t, 15*time.Second, entry.LockDelay)
	require.Equal(t, one.name, entry.Node)
	renewed, _, err := session.Renew(id, nil)
	require.NoError(t, err)
	require.Equal(t, id, renewed.ID)
	of, _, err := session.Node(one.name, nil)
	require.NoError(t, err)
	require.Len(t, of, 1)
	_, err = session.Destroy(id, nil)
	require.NoError(t, err)
	renewed, _, err = session.Renew(id, nil)
	require.NoError(t, err)
	require.Nil(t, renewed, "it is gone")
}

func testKV(t *testing.T, a *agent) {
	kv, dir := a.KV(), a.name+"/kv/"
	put := func(key, value string) {
		_, err := kv.Put(&api.KVPair{Key: key, Value: []byte(value), Flags: 42}, nil)
		require.NoError(t, err)
	}
	get := func(key string) *api.KVPair {
		pair, meta, err := kv.Get(key, nil)
		require.NoError(t, err)
		require.NotZero(t, meta.LastIndex)
		require.True(t, meta.KnownLeader)
		return pair
	}

	require.Nil(t, get(dir+"a"), "absent")
	put(dir+"a", "1")
	first := get(dir + "a")
	require.Equal(t, "1", string(first.Value))
	require.Equal(t, dir+"a", first.Key)
	require.EqualValues(t, 42, first.Flags)
	require.Equal(t, first.CreateIndex, first.ModifyIndex)
	put(dir+"a", "2")
	second := get(dir + "a")
	require.Equal(t, first.CreateIndex, second.CreateIndex)
	require.Greater(t, second.ModifyIndex, first.ModifyIndex)
	put(dir+"empty", "")
	require.Empty(t, get(dir+"empty").Value)
	put(dir+"bytes and spaces?#%", "\x00\xff\n")
	require.Equal(t, "\x00\xff\n", string(get(dir+"bytes and spaces?#%").Value))

	cas := func(key, value string, index uint64) bool {
		ok, _, err := kv.CAS(&api.KVPair{Key: key, Value: []byte(value), ModifyIndex: index}, nil)
		require.NoError(t, err)
		return ok
	}
	require.True(t, cas(dir+"c", "1", 0))
	require.False(t, cas(dir+"c", "2", 0), "it exists")
	index := get(dir + "c").ModifyIndex
	require.False(t, cas(dir+"c", "2", index-1))
	require.True(t, cas(dir+"c", "2", index))
	require.False(t, cas(dir+"c", "3", index), "it has changed")
	require.False(t, cas(dir+"none", "1", 7), "it does not exist")

	testListing(t, a, dir)

	ok, _, err := kv.DeleteCAS(&api.KVPair{Key: dir + "c", ModifyIndex: index}, nil)
	require.NoError(t, err)
	require.False(t, ok)
	ok, _, err = kv.DeleteCAS(get(dir+"c"), nil)
	require.NoError(t, err)
	require.True(t, ok)
	require.Nil(t, get(dir+"c"))
	_, err = kv.Delete(dir+"a", nil)
	require.NoError(t, err)
	_, err = kv.Delete(dir+"a", nil)
	require.NoError(t, err, "a key that is absent is deleted without an error")
	require.Nil(t, get(dir+"a"))
	put(a.name+"/kvx", "stays")
	_, err = kv.DeleteTree(dir, nil)
	require.NoError(t, err)
	pairs, _, err := kv.List(dir, nil)
	require.NoError(t, err)
	require.Empty(t, pairs)
	require.NotNil(t, get(a.name+"/kvx"))
}

func testListing(t *testing.T, a *agent, dir string) {
	kv := a.KV()
	for _, key := range []string{"l/1", "l/2", "l/sub/3", "l/sub/4"} {
		_, err := kv.Put(&api.KVPair{Key: dir + key, Value: []byte(key)}, nil)
		require.NoError(t, err)
	}
	pairs, meta, err := kv.List(dir+"l/", nil)
	require.NoError(t, err)
	require.NotZero(t, meta.LastIndex)
	var listed []string
	for _, p := range pairs {
		listed = append(listed, strings.TrimPrefix(p.Key, dir)+"="+string(p.Value))
	}
	require.Equal(t, []string{"l/1=l/1", "l/2=l/2", "l/sub/3=l/sub/3", "l/sub/4=l/sub/4"}, listed)
	keys, _, err := kv.Keys(dir+"l/", "", nil)
	require.NoError(t, err)
	require.Equal(t, []string{dir + "l/1", dir + "l/2", dir + "l/sub/3", dir + "l/sub/4"}, keys)
	keys, _, err = kv.Keys(dir+"l/", "/", nil)
	require.NoError(t, err)
	require.Equal(t, []string{dir + "l/1", dir + "l/2", dir + "l/sub/"}, keys)
	keys, _, err = kv.Keys(dir+"nothing/", "", nil)
	require.NoError(t, err)
	require.Empty(t, keys)
}

func testModes(t *testing.T, a *agent) {
	key := a.name + "/modes"
	for i := range 10 {
		value := fmt.Sprint(i)
		_, err := a.KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil)
		require.NoError(t, err)
		for name, q := range map[string]*api.QueryOptions{"default": {}, "consistent": {RequireConsistent: true}} {
			pair, meta, err := a.KV().Get(key, q)
			require.NoError(t, err)
			require.Equal(t, value, string(pair.Value), name)
			require.Zero(t, meta.LastContact, "the leader answered")
		}
		eventually(t, "a stale read sees the write", func() error {
			pair, meta, err := a.KV().Get(key, &api.QueryOptions{AllowStale: true})
			if err != nil {
				return err
			}
			if pair == nil || string(pair.Value) != value || !meta.KnownLeader {
				return fmt.Errorf("read %v, %+v", pair, meta)
			}
			return nil
		})
	}
}

func testBlocking(t *testing.T, a, writer *agent) {
	key := a.name + "/blocking"
	_, err := writer.KV().Put(&api.KVPair{Key: key, Value: []byte("old")}, nil)
	require.NoError(t, err)
	_, meta, err := a.KV().Get(key, nil)
	require.NoError(t, err)

	begin := time.Now()
	pair, same, err := a.KV().Get(key, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 300 * time.Millisecond})
	require.NoError(t, err)
	require.Equal(t, "old", string(pair.Value))
	require.Equal(t, meta.LastIndex, same.LastIndex)
	require.GreaterOrEqual(t, time.Since(begin), 300*time.Millisecond, "nothing changed")

	type result struct {
		pair *api.KVPair
		meta *api.QueryMeta
		err  error
	}
	woken := make(chan result)
	go func() {
		pair, meta, err := a.KV().Get(key, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: patience})
		woken <- result{pair, meta, err}
	}()
	_, err = writer.KV().Put(&api.KVPair{Key: a.name + "/other", Value: []byte("x")}, nil)
	require.NoError(t, err)
	_, err = writer.KV().Put(&api.KVPair{Key: key, Value: []byte("new")}, nil)
	require.NoError(t, err)
	r := <-woken
	require.NoError(t, r.err)
	require.Equal(t, "new", string(r.pair.Value))
	require.Greater(t, r.meta.LastIndex, meta.LastIndex)
}

func testAgent(t *testing.T, a *agent) {
	self, err := a.Agent().Self()
	require.NoError(t, err)
	require.Equal(t, a.name, self["Config"]["NodeName"])
	require.Equal(t, "dc1", self["Config"]["Datacenter"])
	require.Equal(t, a.name != "c1", self["Config"]["Server"])
	require.Equal(t, a.name, self["Member"]["Name"])
	name, err := a.Agent().NodeName()
	require.NoError(t, err)
	require.Equal(t, a.name, name)

	eventually(t, "all members are known", func() error {
		members, err := a.Agent().Members(false)
		if err != nil {
			return err
		}
		var seen []string
		for _, m := range members {
			seen = append(seen, fmt.Sprint(m.Name, " ", m.Addr, ":", m.Port, " ", m.Tags["role"], " ", m.Tags["dc"], " ", m.Status))
		}
		slices.Sort(seen)
		want := []string{
			"c1 " + network + "4:8301 node dc1 1",
			"s1 " + network + "1:8301 consul dc1 1",
			"s2 " + network + "2:8301 consul dc1 1",
			"s3 " + network + "3:8301 consul dc1 1",
		}
		if !slices.Equal(want, seen) {
			return fmt.Errorf("members %q", seen)
		}
		return nil
	})
}

// leader is the address of the leader that an agent reports, IP:PORT.
func leader(t *testing.T, a *agent) string {
	leader, err := a.Status().Leader()
	require.NoError(t, err)
	return leader
}

func testStatus(t *testing.T, all []*agent) {
	want := []string{network + "1:8300", network + "2:8300", network + "3:8300"}
	for _, a := range all {
		require.Contains(t, want, leader(t, a))
		peers, err := a.Status().Peers()
		require.NoError(t, err)
		require.ElementsMatch(t, want, peers)
	}
}

func testConfiguration(t *testing.T, all []*agent) {
	for _, a := range all {
		config, err := a.Operator().RaftGetConfiguration(nil)
		require.NoError(t, err)
		require.Len(t, config.Servers, 3)
		var leaders int
		for _, s := range config.Servers {
			i := slices.IndexFunc(all, func(a *agent) bool { return a.addr+":8300" == s.Address })
			require.GreaterOrEqual(t, i, 0, s.Address)
			require.Equal(t, all[i].name, s.Node)
			require.NotEmpty(t, s.ID)
			require.True(t, s.Voter)
			if s.Leader {
				leaders++
			}
		}
		require.Equal(t, 1, leaders)
	}
}

// testRemovePeer removes servers that are there, so that they come back by themselves.
func testRemovePeer(t *testing.T, all []*agent) {
	voters := func() (followers []*api.RaftServer, err error) {
		config, err := all[3].Operator().RaftGetConfiguration(nil)
		if err != nil {
			return nil, err
		}
		for _, s := range config.Servers {
			if s.Voter && !s.Leader {
				followers = append(followers, s)
			}
		}
		return followers, nil
	}
	for _, remove := range []func(*api.RaftServer) error{
		func(s *api.RaftServer) error { return all[3].Operator().RaftRemovePeerByID(s.ID, nil) },
		func(s *api.RaftServer) error { return all[0].Operator().RaftRemovePeerByAddress(s.Address, nil) },
	} {
		followers, err := voters()
		require.NoError(t, err)
		require.Len(t, followers, 2)
		require.NoError(t, remove(followers[0]))
		eventually(t, "it votes again", func() error {
			now, err := voters()
			if err == nil && len(now) != 2 {
				return fmt.Errorf("%d followers vote", len(now))
			}
			return err
		})
	}
	require.Error(t, all[3].Operator().RaftRemovePeerByID("nobody", nil))
}

func testTransfer(t *testing.T, all []*agent) {
	config, err := all[0].Operator().RaftGetConfiguration(nil)
	require.NoError(t, err)
	i := slices.IndexFunc(config.Servers, func(s *api.RaftServer) bool { return !s.Leader })
	to := config.Servers[i]
	answer, err := all[3].Operator().RaftLeaderTransfer(to.ID, nil)
	require.NoError(t, err)
	require.True(t, answer.Success)
	for _, a := range all {
		eventually(t, a.name+" knows the new leader", func() error {
			leader, err := a.Status().Leader()
			if err == nil && leader != to.Address {
				return fmt.Errorf("leader %q, not %q", leader, to.Address)
			}
			return err
		})
	}
	_, err = all[3].Operator().RaftLeaderTransfer("", nil)
	require.NoError(t, err)
	eventually(t, "another one leads", func() error {
		leader, err := all[0].Status().Leader()
		if err == nil && (leader == "" || leader == to.Address) {
			return fmt.Errorf("leader %q", leader)
		}
		return err
	})
}

// testLeave makes an agent leave and expects its process to end well, the others to know,
// and so many servers in the peer set.
func testLeave(t *testing.T, leaver, witness *agent, peers int) {
	require.NoError(t, leaver.Agent().Leave())
	select {
	case <-leaver.ended:
		require.NoError(t, leaver.exit)
	case <-time.After(patience):
		require.NoError(t, leaver.process.Process.Signal(syscall.SIGQUIT)) // its log shows where it hangs
		<-leaver.ended
		require.Fail(t, "the process did not end")
	}
	const left = 3 // serf's StatusLeft
	eventually(t, leaver.name+" has left", func() error {
		members, err := witness.Agent().Members(false)
		if err != nil {
			return err
		}
		for _, m := range members {
			if m.Name == leaver.name && m.Status != left {
				return fmt.Errorf("its status is %d", m.Status)
			}
		}
		got, err := witness.Status().Peers()
		if err == nil && len(got) != peers {
			return fmt.Errorf("peers %q", got)
		}
		return err
	})
	_, err := witness.KV().Put(&api.KVPair{Key: "after", Value: []byte(leaver.name)}, nil)
	require.NoError(t, err)
}
