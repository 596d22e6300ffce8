package agent

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// withAndWithout runs a test in virtual time, first without the defect.
func withAndWithout(t *testing.T, name string, test func(t *testing.T, planted bool, edit func(*Config))) {
	for _, names := range [][]string{nil, {name}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				test(t, names != nil, func(config *Config) { config.DefectNames = names })
			})
		})
	}
}

// stalledAppends appends elements in another datacenter while that cannot commit, for 3 s, and returns the codes of
// the answers by element, and the list in the end. Some of the calls reach the leader.
func stalledAppends(t *testing.T, edit func(*Config)) (codes map[int]history.Code, list []int) {
	f := startFederation(t, 2, 2, 0, edit, func(config *Config) {
		config.Times = &Times{Heartbeat: 5 * second, Election: 5 * second, LeaderLease: 5 * second, Commit: testTimes.Commit}
	})
	asker, leader := f.dcs[0].leader(t), f.dcs[1].leader(t)
	f.wire.cut(leader.host.ip, ips(f.dcs[1].nodes, leader)...)
	var mu sync.Mutex
	var all sync.WaitGroup
	codes = map[int]history.Code{}
	for element := range 12 {
		all.Go(func() {
			a, err := asker.try("PUT", "/v1/kv/list?append&dc=dc2", strconv.Itoa(element))
			mu.Lock()
			defer mu.Unlock()
			if err == nil && a.status != 200 {
				codes[element] = a.code()
			}
		})
	}
	time.Sleep(3 * second)
	f.wire.heal()
	all.Wait()
	time.Sleep(30 * second)
	a := f.dcs[1].leader(t).do(t, "GET", "/v1/kv/list?raw", "")
	return codes, decode[[]int](t, a.body)
}

func TestWANRetryDoubles(t *testing.T) {
	withAndWithout(t, WANRetryDoubles, func(t *testing.T, planted bool, edit func(*Config)) {
		_, list := stalledAppends(t, edit)
		times := map[int]int{}
		doubled := false
		for _, e := range list {
			times[e]++
			doubled = doubled || times[e] > 1
		}
		require.Equal(t, planted, doubled, "%v", list)
	})
}

// Some appends take effect after it was said that they will not.
func TestDropsDeadline(t *testing.T) {
	withAndWithout(t, DropsDeadline, func(t *testing.T, planted bool, edit func(*Config)) {
		codes, list := stalledAppends(t, edit)
		lied := false
		for _, e := range list {
			lied = lied || codes[e].Definite()
		}
		require.Equal(t, planted, lied, "%v, and the list is %v", codes, list)
	})
}

func TestWrongDCOnFailover(t *testing.T) {
	withAndWithout(t, WrongDCOnFailover, func(t *testing.T, planted bool, edit func(*Config)) {
		f := startFederation(t, 2, 1, 0, edit)
		asker := f.dcs[0].leader(t)
		asker.putIn(t, "dc2", "k", "there")
		f.dcs[1].nodes[0].stop(t)
		a := asker.do(t, "PUT", "/v1/kv/k?dc=dc2", "here")
		require.Equal(t, planted, a.body == "true")
		require.Equal(t, planted, asker.do(t, "GET", "/v1/kv/k?raw", "").body == "here")
	})
}

func TestForwardsToOldLeaderForever(t *testing.T) {
	withAndWithout(t, ForwardsToOldLeaderForever, func(t *testing.T, planted bool, edit func(*Config)) {
		f := startFederation(t, 2, 3, 0, edit)
		asker := f.dcs[0].leader(t)
		asker.putIn(t, "dc2", "k", "v")
		there := f.dcs[1]
		deposed := there.leader(t)
		deposed.stop(t)
		there.leader(t)
		there.restart(deposed)
		there.leader(t)
		require.Equal(t, planted, asker.do(t, "GET", "/v1/kv/k?dc=dc2", "").status != 200)
	})
}

func TestLastContactLies(t *testing.T) {
	withAndWithout(t, LastContactLies, func(t *testing.T, planted bool, edit func(*Config)) {
		f := startFederation(t, 2, 2, 0, edit)
		follower := f.dcs[1].followers(t)[0]
		follower.wire.cut(follower.host.ip, ips(f.dcs[1].nodes, follower)...)
		time.Sleep(5 * second)
		var told string
		eventually(t, "the follower is asked from the other datacenter", func() error {
			a := f.dcs[0].leader(t).do(t, "GET", "/v1/kv/k?stale&dc=dc2", "")
			if hops := a.hops(t); len(hops) != 2 || hops[1].Node != follower.name {
				return fmt.Errorf("%s", a.way(t))
			}
			told = a.header.Get(nodes.HeaderLastContact)
			return nil
		})
		require.Equal(t, planted, told == "0")
		require.Equal(t, !planted, len(told) >= len("4000"), "%s ms", told)
	})
}

func TestWANNeverRejoins(t *testing.T) {
	withAndWithout(t, WANNeverRejoins, func(t *testing.T, planted bool, edit func(*Config)) {
		f := startFederation(t, 2, 1, 0, edit)
		f.cut(0, 1)
		time.Sleep(time.Minute)
		f.wire.heal()
		time.Sleep(time.Minute)
		for _, n := range f.servers() {
			require.Equal(t, planted, len(n.wanAlive()) == 1, "%v", n.wanAlive())
		}
	})
}

func TestForwardLoop(t *testing.T) {
	withAndWithout(t, ForwardLoop, func(t *testing.T, planted bool, edit func(*Config)) {
		f := startFederation(t, 2, 3, 0, edit)
		asker := f.dcs[0].leader(t)
		longest := 0
		for range 30 {
			hops := asker.putIn(t, "dc2", "k", "v").hops(t)
			require.Equal(t, history.RoleLeader, hops[len(hops)-1].Role, "it gets there")
			longest = max(longest, len(hops))
		}
		require.Equal(t, planted, longest > 3, "%d", longest)
	})
}
