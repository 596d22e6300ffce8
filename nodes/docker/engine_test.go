package docker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	dc "github.com/ory/dockertest/v3/docker"
	"github.com/stretchr/testify/require"

	"faultline/nodes/pods/podstest"
)

// shortLimits are for engines that never answer.
var shortLimits = limits{ping: 100 * time.Millisecond, call: 100 * time.Millisecond, build: 100 * time.Millisecond}

// fakeEngine sets DOCKER_HOST to a socket on which listener is served.
func fakeEngine(t *testing.T, serve func(net.Listener)) (endpoint string) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go serve(listener)
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	return "unix://" + socket
}

func TestAnEngineThatNeverAnswers(t *testing.T) {
	endpoint := fakeEngine(t, func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // when the test is over
		}
	})
	r := runtime{limits: shortLimits}
	want := "the Docker engine at " + endpoint + " did not answer within 100ms"
	require.ErrorContains(t, r.Check(t.Context()), want)
	_, err := r.Clean(t.Context())
	require.ErrorContains(t, err, want)
	_, err = r.Start(t.Context(), podstest.Spec(t, "hang"))
	require.ErrorContains(t, err, want)
}

func TestAnEngineThatNeverAcceptsIsGivenUp(t *testing.T) {
	fakeEngine(t, func(net.Listener) {})
	require.ErrorContains(t, runtime{limits: shortLimits}.Check(t.Context()), "did not answer within 100ms")
}

func TestNoEngine(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///nowhere/docker.sock": "no Docker engine answers at unix:///nowhere/docker.sock: start the daemon",
		"tcp://127.0.0.1:1":           "no Docker engine answers at tcp://127.0.0.1:1: start the daemon",
		"ssh://me@there":              `no Docker engine can be at "ssh://me@there"`,
		"tcp://192.0.2.1:2375":        "is on another machine",
	} {
		t.Setenv("DOCKER_HOST", host)
		require.ErrorContains(t, New().Check(t.Context()), want)
	}
}

func TestACallThatHangsLater(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	fakeEngine(t, func(l net.Listener) {
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/info" {
				<-hang
			}
			w.Write([]byte(`{"OSType":"linux"}`))
		}))
	})
	r := runtime{limits: shortLimits}
	require.NoError(t, r.Check(t.Context()))
	_, err := r.Clean(t.Context())
	require.ErrorContains(t, err, "listing containers")
	require.ErrorContains(t, err, "did not answer within 100ms")
}

func TestWindowsEngines(t *testing.T) {
	fakeEngine(t, func(l net.Listener) {
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"OSType":"windows"}`))
		}))
	})
	require.ErrorContains(t, New().Check(t.Context()), "runs windows containers")
}

func TestErrorsTellTheWayOut(t *testing.T) {
	e := &engine{endpoint: "unix:///x"}
	for text, want := range map[string]string{
		"write /bin/node: no space left on device":                                                             "the engine's disk is full",
		"could not find an available, non-overlapping IPv4 address pool among the defaults":                    "faultline clean",
		"Error response: all predefined address pools have been fully subnetted":                               "faultline clean",
		"driver failed programming external connectivity: Bind … failed: port is already allocated":            "busy",
		`error gathering device information while adding custom device "/dev/fuse": no such file or directory`: "`modprobe fuse`",
		`invalid CapAdd: unknown capability: "CAP_SYS_ADMIN"`:                                                  "the engine refuses the capabilities",
		"runc create failed: unable to start container process: unable to apply caps: operation not permitted": "the engine refuses the capabilities",
		"something else": "making it: API error (500): something else",
	} {
		err := &dc.Error{Status: 500, Message: text}
		got := e.explain("making it", time.Second, err)
		require.ErrorContains(t, got, want)
		require.ErrorIs(t, got, err)
	}
	require.NoError(t, e.explain("making it", time.Second, nil))
}

func TestWhatMakesThingsIsNotCutShort(t *testing.T) {
	e := &engine{limits: defaultLimits}
	ctx, cancel := context.WithCancel(t.Context())
	got, err := create(ctx, e, "making it", func(inner context.Context) (string, error) {
		cancel()
		return "made", inner.Err()
	})
	require.NoError(t, err)
	require.Equal(t, "made", got)
	_, err = create(ctx, e, "making it", func(context.Context) (string, error) {
		return "", errors.New("never called")
	})
	require.ErrorIs(t, err, context.Canceled)
}

func TestName(t *testing.T) {
	require.Equal(t, "docker", New().Name())
}

func TestAnImageThatLostItsTagGoesByItsID(t *testing.T) {
	require.Equal(t, "faultline:1", imageName(dc.APIImages{ID: "sha256:1", RepoTags: []string{"faultline:1"}}))
	require.Equal(t, "sha256:1", imageName(dc.APIImages{ID: "sha256:1", RepoTags: []string{"<none>:<none>"}}))
	require.Equal(t, "sha256:1", imageName(dc.APIImages{ID: "sha256:1"}))
}
