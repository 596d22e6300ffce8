package faultline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	dc "github.com/ory/dockertest/v3/docker"
	"github.com/stretchr/testify/require"

	"faultline/checker"
	"faultline/nodes/docker"
)

// Between the harness and a real Docker engine stands a proxy that fails the n-th request.

const engineScenario = `
runtime: docker
topology: dc1-3
rate: 60
concurrency: 4
min-ops: 50
time-limit: 4s
quiet: 1s
recover-within: 10s
steps:
  - {at: 300ms, for: 1s, fault: kill, target: [dc1-s2]}
`

// The ways in which a request to an engine goes wrong.
const (
	absent      = "is answered 404"
	broken500   = "is answered 500"
	unanswered  = "is not answered"
	cutOffThere = "is answered by half, and the connection with it"
	streamCut   = "is a stream that is cut after a while"
	streamQuiet = "is a stream that is silent after a while"
)

var engineWays = []string{absent, broken500, cutOffThere, streamCut, unanswered, streamQuiet}

// engineGood is which failed requests may leave a run valid, and why.
var engineGood = []struct {
	request *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`^GET /containers/json`), "it is repeated; the engine is only gone if it stays so"},
	{regexp.MustCompile(`^POST /containers/[^/]+/wait`), "it is asked again"},
	{regexp.MustCompile(`^GET /containers/[^/]+/json`), "the PID of a process stays untold"},
	{regexp.MustCompile(`^POST /(exec|containers/[^/]+/exec)`), "a stream that broke is opened again"},
	{regexp.MustCompile(`^HEAD /_ping`), "it is asked again, with GET"},
	{regexp.MustCompile(`^POST /containers/create`), "404 says that the image is gone: it is built, and the container made again"},
	{regexp.MustCompile(`^DELETE `), "Close is called again"},
	{regexp.MustCompile(`^GET /(volumes|networks)`), "Close is called again"},
	{regexp.MustCompile(`^GET /images/`), "an image that is not found is built"},
}

// apiVersion begins the path of what the official client asks.
var apiVersion = regexp.MustCompile(`^/v[0-9.]+`)

func TestAnEngineThatFailsIsToldAsThat(t *testing.T) {
	if err := docker.New().Check(t.Context()); err != nil {
		require.NotEqual(t, "1", os.Getenv("FAULTLINE_REQUIRE_DOCKER"), err)
		t.Skipf("needs Docker: %v", err)
	}
	day := time.Now().Unix() / 86400
	random := rand.New(rand.NewPCG(uint64(day), 2))
	all := os.Getenv(selfAll) == "all"
	calls, ways := 40, engineWays[:4] // about, until the last heal; the slow ways are for the night
	if all {
		ways = engineWays
		e := newEngine(t, 0, "")
		e.run(t)
		calls = e.requests
	}
	for _, n := range someOf(random, calls, 3) {
		how := ways[(int(day)+n)%len(ways)] // in the nights each is tried in every way
		t.Run(fmt.Sprintf("request %d %s", n, how), func(t *testing.T) {
			e := newEngine(t, n, how)
			outcome, err := e.run(t)
			t.Logf("%q: %v (%v) after %v", e.sprung, outcome.Verdict, err, e.took)
			require.Empty(t, e.leftovers(t), "left behind")
			if e.sprung == "" {
				t.Skip("this run had fewer requests")
			}
			require.Less(t, e.took, 6*time.Minute)
			require.NotErrorIs(t, err, ErrInterrupted)
			if errors.As(err, new(*UsageError)) {
				require.False(t, e.made, "only what fails before anything was made is the machine's: %v", err)
			}
			require.NotEqual(t, checker.Invalid, outcome.Verdict, "%s", trial{outcome: outcome}.why())
			if err == nil && outcome.Verdict == checker.Valid {
				require.NotEmpty(t, e.excuse(), "it is valid")
			}
		})
	}
}

// failingEngine is the proxy, and what became of the run behind it.
type failingEngine struct {
	dir    string
	real   string
	n      int
	how    string
	over   context.Context
	took   time.Duration
	served sync.WaitGroup

	mu       sync.Mutex
	requests int
	sprung   string // the request that failed
	made     bool   // something was made before
}

func newEngine(t *testing.T, n int, how string) *failingEngine {
	t.Helper()
	client, err := dc.NewClientFromEnv()
	require.NoError(t, err)
	e := &failingEngine{dir: t.TempDir(), real: strings.TrimPrefix(client.Endpoint(), "unix://"), n: n, how: how}
	if strings.Contains(e.real, "://") {
		t.Skipf("needs an engine at a unix socket, and there is %s", e.real)
	}
	over, end := context.WithCancel(context.Background())
	e.over = over
	listener, err := net.Listen("unix", filepath.Join(e.dir, "engine"))
	require.NoError(t, err)
	e.served.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			e.served.Go(func() { e.serve(conn) })
		}
	})
	t.Cleanup(func() {
		end()
		require.NoError(t, listener.Close())
		e.served.Wait()
	})
	return e
}

func (e *failingEngine) run(t *testing.T) (Outcome, error) {
	t.Helper()
	real := os.Getenv("DOCKER_HOST")
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(e.dir, "engine"))
	defer os.Setenv("DOCKER_HOST", real)
	s, err := ParseScenario("selfengine.yaml", []byte(engineScenario))
	require.NoError(t, err)
	began := time.Now()
	defer func() { e.took = time.Since(began) }()
	return Run(t.Context(), s, Options{Store: filepath.Join(e.dir, "store")})
}

func (e *failingEngine) excuse() string {
	for _, good := range engineGood {
		if good.request.MatchString(e.sprung) {
			return good.why
		}
	}
	return ""
}

// leftovers lists what the real engine has of our runs.
func (e *failingEngine) leftovers(t *testing.T) (names []string) {
	t.Helper()
	client, err := dc.NewClient("unix://" + e.real)
	require.NoError(t, err)
	ours := func(labels map[string]string) bool {
		run := labels["faultline.run"]
		return strings.HasPrefix(run, "selfengine-") && strings.HasSuffix(run, fmt.Sprint("-", os.Getpid()))
	}
	labelled := map[string][]string{"label": {"faultline.run"}}
	containers, err := client.ListContainers(dc.ListContainersOptions{All: true, Filters: labelled})
	require.NoError(t, err)
	for _, c := range containers {
		if ours(c.Labels) {
			names = append(names, c.Names...)
		}
	}
	volumes, err := client.ListVolumes(dc.ListVolumesOptions{Filters: labelled})
	require.NoError(t, err)
	for _, v := range volumes {
		if ours(v.Labels) {
			names = append(names, v.Name)
		}
	}
	networks, err := client.ListNetworks()
	require.NoError(t, err)
	for _, n := range networks {
		if ours(n.Labels) {
			names = append(names, n.Name)
		}
	}
	return names
}

// spring counts a request, and tells how it goes wrong, if it does.
func (e *failingEngine) spring(r *http.Request) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	stream := e.how == streamCut || e.how == streamQuiet
	hit := e.requests == e.n
	if stream { // the first stream from there on
		hit = e.requests >= e.n && e.sprung == "" && r.Header.Get("Upgrade") != ""
	}
	if hit {
		e.sprung = r.Method + " " + apiVersion.ReplaceAllString(r.URL.Path, "")
		return e.how
	}
	if e.sprung == "" && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/create") {
		e.made = true
	}
	return ""
}

// serve answers the requests of one connection.
func (e *failingEngine) serve(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(e.over, func() { conn.Close() })()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if !e.answer(conn, in, r, e.spring(r)) {
			return
		}
	}
}

// answer answers one, and reports whether the connection stands.
func (e *failingEngine) answer(conn net.Conn, in *bufio.Reader, r *http.Request, how string) bool {
	switch how {
	case absent, broken500:
		_, _ = io.Copy(io.Discard, r.Body)
		code := map[string]int{absent: http.StatusNotFound, broken500: http.StatusInternalServerError}[how]
		body := `{"message":"the trap"}`
		_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", code, http.StatusText(code), len(body), body)
		return err == nil
	case unanswered:
		<-e.over.Done()
		return false
	}
	upstream, err := net.Dial("unix", e.real)
	if err != nil {
		return false
	}
	defer upstream.Close()
	defer context.AfterFunc(e.over, func() { upstream.Close() })()
	if r.Header.Get("Upgrade") != "" {
		e.pass(conn, in, upstream, r, how)
		return false
	}
	gone := e.watch(conn, in, upstream, r)
	defer gone()
	r.Header.Set("Connection", "close")
	if err := r.Write(upstream); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(upstream), r)
	if err != nil {
		return false
	}
	response.Header.Del("Connection")
	response.Close = false
	if how != cutOffThere {
		return response.Write(conn) == nil
	}
	whole, err := httputil.DumpResponse(response, true)
	if err == nil {
		_, _ = conn.Write(whole[:len(whole)/2])
	}
	return false
}

// watch ends the request at the engine when who asked has gone, as a wait would else stay.
func (e *failingEngine) watch(conn net.Conn, in *bufio.Reader, upstream net.Conn, r *http.Request) (stop func()) {
	if r.ContentLength != 0 {
		return func() {}
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		if _, err := in.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			upstream.Close()
		}
	})
	return func() {
		_ = conn.SetReadDeadline(time.Now())
		watching.Wait()
		_ = conn.SetReadDeadline(time.Time{})
	}
}

// streamedFirst is how many parts of a stream pass before it goes wrong.
const streamedFirst = 6

// pass carries a stream both ways.
func (e *failingEngine) pass(conn net.Conn, in *bufio.Reader, upstream net.Conn, r *http.Request, how string) {
	if err := r.Write(upstream); err != nil {
		return
	}
	var up sync.WaitGroup
	defer up.Wait()
	defer conn.Close()
	up.Go(func() {
		_, _ = io.Copy(upstream, in)
		if half, ok := upstream.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	})
	part := make([]byte, 32<<10)
	for parts := 0; ; parts++ {
		n, err := upstream.Read(part)
		switch {
		case err != nil, how == streamCut && parts >= streamedFirst:
			return
		case how == streamQuiet && parts >= streamedFirst:
			continue
		}
		if _, err := io.Copy(conn, bytes.NewReader(part[:n])); err != nil {
			return
		}
	}
}
