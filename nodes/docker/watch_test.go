package docker

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/pods/podstest"
	"faultline/workloads/history"
)

const lossLimit = 20 * time.Second // on a machine that is busy; else it takes a second

// kill is what somebody outside does.
func kill(t *testing.T, c *cluster, container string) {
	_, err := c.engine.client.ContainerKill(t.Context(), container, client.ContainerKillOptions{})
	require.NoError(t, err)
}

func remove(t *testing.T, c *cluster, container string) {
	_, err := c.engine.client.ContainerRemove(t.Context(), container, client.ContainerRemoveOptions{Force: true})
	require.NoError(t, err)
}

func TestALostClusterIsNamed(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]struct {
		how  func(*testing.T, *cluster)
		want string
	}{
		"holder-removed": {func(t *testing.T, c *cluster) { remove(t, c, c.byName[s1].holder) }, "the pod of dc1-s1 "},
		"holder-killed": {func(t *testing.T, c *cluster) { kill(t, c, c.byName[s2].holder) },
			"the pod of dc1-s2 has ended (exit code 137): not by Faultline"},
		"node-removed": {func(t *testing.T, c *cluster) { remove(t, c, c.byName[s3].container) },
			"the container of dc1-s3 was removed: not by Faultline"},
		"stopped-node-removed": {func(t *testing.T, c *cluster) {
			var killed faults.Conditions
			killed.SetProcess([]string{s3}, faults.Killed)
			require.NoError(t, c.Set(t.Context(), killed))
			require.NoError(t, c.Exited(t.Context(), s3))
			remove(t, c, c.byName[s3].container)
		}, "the container of dc1-s3 was removed: not by Faultline"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := up(t, what)
			w := podstest.Watch(t, c)
			lose.how(t, c)
			err := w.Lost(t, lossLimit)
			require.ErrorContains(t, err, lose.want)
			require.ErrorContains(t, err, "not by Faultline")
		})
	}
}

func TestANodeThatIsKilledFromOutsideIsNoLoss(t *testing.T) {
	t.Parallel()
	c := up(t, "outside")
	w := podstest.Watch(t, c)
	podstest.Ask(t, c, s1)
	kill(t, c, c.byName[s1].container)
	w.Require(t, s1, "started", "ended: SIGKILL")
	podstest.RequireConditions(t, c, faults.Conditions{})
	w.Require(t, s1, "started", "ended: SIGKILL", "started")
	time.Sleep(3 * guardPause) // for a loss to be found
	w.Stop(t)
}

func TestANodeThatWantsTooMuchMemory(t *testing.T) {
	t.Parallel()
	c := up(t, "memory")
	w := podstest.Watch(t, c)
	const limit = 64 << 20
	_, err := c.engine.client.ContainerUpdate(t.Context(), c.byName[s1].container, client.ContainerUpdateOptions{
		Resources: &container.Resources{Memory: limit, MemorySwap: limit}})
	if err != nil {
		t.Skip("this engine limits no memory: ", err)
	}
	podstest.Ask(t, c, s1)
	podstest.Tell(t, c, s1, "/hog")
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)")
	podstest.RequireConditions(t, c, faults.Conditions{})
	podstest.Ask(t, c, s1)
	var killed faults.Conditions
	killed.SetProcess([]string{s1}, faults.Killed)
	podstest.RequireConditions(t, c, killed)
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)", "started", "ended: SIGKILL")
	podstest.RequireConditions(t, c, faults.Conditions{})
	podstest.Ask(t, c, s1)
	podstest.Tell(t, c, s1, "/hog")
	w.Require(t, s1, "started", "ended: SIGKILL (out of memory)", "started", "ended: SIGKILL", "started", "ended: SIGKILL (out of memory)")
}

func TestExitCodesOfSignals(t *testing.T) {
	for code, want := range map[int]history.ProcessEvent{
		0:   {},
		2:   {Code: 2},
		128: {Code: 128},
		134: {Signal: "SIGABRT"},
		137: {Signal: "SIGKILL"},
		139: {Signal: "SIGSEGV"},
		143: {Signal: "SIGTERM"},
		159: {Signal: "SIGSYS"},
		160: {Code: 160},
		255: {Code: 255},
	} {
		want.Kind = history.ProcessEnded
		require.Equal(t, want, ended(code), code)
	}
}

// fakeCluster is a cluster on an engine that answers, by the end of the path, what these do.
func fakeCluster(t *testing.T, l limits, answers map[string]http.HandlerFunc) *cluster {
	answers["/info"] = func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"OSType":"linux"}`)) }
	fakeEngine(t, func(listener net.Listener) {
		http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for path, answer := range answers {
				if strings.HasSuffix(r.URL.Path, path) {
					answer(w, r)
				}
			}
		}))
	})
	e, err := connect(t.Context(), l)
	require.NoError(t, err)
	c, err := newCluster(e, podstest.Spec(t, "fake"))
	require.NoError(t, err)
	for _, p := range c.pods {
		p.holder, p.container = p.node.Name+"-pod", p.node.Name
	}
	t.Cleanup(c.unwatch)
	return c
}

func fails(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// says answers these texts, one after the other, and the last again and again; "" is a failure.
func says(texts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := texts[0]
		texts = texts[min(1, len(texts)-1):]
		if text == "" {
			fails(w, r)
			return
		}
		w.Write([]byte(text))
	}
}

// containerJSON is how an engine tells of a node's container, at times given in seconds from now on.
func containerJSON(running, oom bool, started, finished int) string {
	at := func(seconds int) string {
		return time.Now().Add(time.Duration(seconds) * time.Second).UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprintf(`{"Id":"n","Config":{},"State":{"Running":%t,"Pid":7,"OOMKilled":%t,"StartedAt":%q,"FinishedAt":%q}}`,
		running, oom, at(started), at(finished))
}

func TestALifeOnAnEngineThatBreaksOff(t *testing.T) {
	c := fakeCluster(t, defaultLimits, map[string]http.HandlerFunc{
		"/dc1-s1/json":  says(containerJSON(true, true, -30, -40), containerJSON(false, true, -30, -20)),
		"/dc1-s1/start": says("{}"),
		"/dc1-s1/wait":  says("", "", `{"StatusCode":137}`),
		"/dc1-s2/start": says("{}"),
		"/dc1-s2/json":  says(""),
		"/dc1-s2/wait":  says(`{"StatusCode":2}`),
	})
	w := podstest.Watch(t, c)
	asked := time.Now().Add(-time.Minute)
	p := c.byName[s1]
	c.follow(p, asked)
	require.NoError(t, c.Exited(t.Context(), s1))
	w.Require(t, s1, "started", "ended: SIGKILL") // whether memory ran out in this life is not known: it had before
	require.NoError(t, c.startNode(t.Context(), c.byName[s2]))
	require.NoError(t, c.Exited(t.Context(), s2))
	w.Require(t, s2, "started", "ended: exit code 2")
	all := w.Stop(t)
	require.Equal(t, 7, all[0].PID)
	require.Equal(t, 7, all[1].PID)
	require.InDelta(t, 30, all[0].At.Sub(asked).Seconds(), 10)
	require.InDelta(t, 10, all[1].At.Sub(all[0].At).Seconds(), 1)
}

func TestAStartThatFails(t *testing.T) {
	never := `{"Id":"n","Config":{},"State":{"StartedAt":"0001-01-01T00:00:00Z"}}`
	c := fakeCluster(t, defaultLimits, map[string]http.HandlerFunc{
		"/start":       fails,
		"/dc1-s1/json": says(never),
		"/dc1-s2/json": says(containerJSON(true, false, 0, -10)),
		"/dc1-s2/wait": says(`{"StatusCode":0}`),
	})
	w := podstest.Watch(t, c)
	require.ErrorContains(t, c.startNode(t.Context(), c.byName[s1]), "starting dc1-s1")
	require.ErrorContains(t, c.startNode(t.Context(), c.byName[s2]), "starting dc1-s2")
	require.NoError(t, c.Exited(t.Context(), s2))
	require.ErrorContains(t, c.startNode(t.Context(), c.byName[s2]), "starting dc1-s2", "and this time in vain")
	w.Require(t, s2, "started", "ended: exit code 0") // the first went on behind our back
	require.Len(t, w.Stop(t), 2, "a start that failed is not told of")
}

func TestANodeWhoseContainerIsGoneDoesNotEnd(t *testing.T) {
	gone := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	c := fakeCluster(t, defaultLimits, map[string]http.HandlerFunc{
		"/start": says("{}"), "/dc1-s1/json": says(containerJSON(true, false, 0, -10)), "/wait": gone})
	w := podstest.Watch(t, c)
	require.NoError(t, c.startNode(t.Context(), c.byName[s1]))
	require.NoError(t, c.Exited(t.Context(), s1))
	require.ErrorContains(t, c.died(t.Context(), c.byName[s1]), "how dc1-s1 ended nobody can tell any more")
	w.Require(t, s1, "started") // how it ended is not known, and for guard to say
}

func TestAnEngineThatFailsForAWhileIsNotLost(t *testing.T) {
	asked := 0
	l := defaultLimits
	l.gone = guardPause // the first failure after an answer is none for long
	answered := make(chan struct{})
	list := func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked%2 == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if asked == 6 {
			close(answered)
		}
		var all []string
		for _, node := range []string{s1, s2, s3} {
			for name, part := range map[string]string{node: "node", node + "-pod": "holder"} {
				all = append(all, fmt.Sprintf(`{"Id":%q,"State":"running","Labels":{%q:%q,%q:%q}}`, name, labelPart, part, labelCluster, "mine"))
			}
		}
		fmt.Fprintf(w, "[%s]", strings.Join(all, ","))
	}
	c := fakeCluster(t, l, map[string]http.HandlerFunc{"/containers/json": list})
	c.id = "mine"
	w := podstest.Watch(t, c)
	go c.guard(c.watching)
	select {
	case <-answered:
	case <-time.After(lossLimit):
	}
	require.Empty(t, w.Stop(t))
}

func TestAnEngineThatIsGoneIsALoss(t *testing.T) {
	l := defaultLimits
	l.gone = 0
	c := fakeCluster(t, l, map[string]http.HandlerFunc{"/containers/json": fails})
	w := podstest.Watch(t, c)
	go c.guard(c.watching)
	require.ErrorContains(t, w.Lost(t, lossLimit), "the engine is gone: not by Faultline: listing containers")

	l = shortLimits
	l.gone = time.Hour
	l.ping = defaultLimits.ping
	hang := make(chan struct{})
	c = fakeCluster(t, l, map[string]http.HandlerFunc{"/containers/json": func(http.ResponseWriter, *http.Request) { <-hang }})
	t.Cleanup(func() { close(hang) })
	w = podstest.Watch(t, c)
	go c.guard(c.watching)
	require.ErrorContains(t, w.Lost(t, lossLimit), "did not answer within 100ms (listing containers)")
}
