package docker

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"
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
			if !strings.HasSuffix(r.URL.Path, "/info") && r.URL.Path != "/_ping" {
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
		err := &dc.Error{Status: 500, Message: text} // as the pool's client tells it
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
	require.Equal(t, "faultline:1", imageName(image.Summary{ID: "sha256:1", RepoTags: []string{"faultline:1"}}))
	require.Equal(t, "sha256:1", imageName(image.Summary{ID: "sha256:1", RepoTags: []string{"<none>:<none>"}}))
	require.Equal(t, "sha256:1", imageName(image.Summary{ID: "sha256:1"}))
}

// What the official client makes of an error of the dial is text.
func TestErrorsOfTheDialTellTheWayOut(t *testing.T) {
	e := &engine{endpoint: "unix:///x"}
	for failure, want := range map[error]string{
		syscall.EACCES:       "the Docker engine at unix:///x may not be used by this user: join the group docker",
		syscall.EPERM:        "the Docker engine at unix:///x may not be used by this user: join the group docker",
		syscall.ENOENT:       "no Docker engine answers at unix:///x: start the daemon",
		syscall.ECONNREFUSED: "no Docker engine answers at unix:///x: start the daemon",
	} {
		official, err := client.New(client.WithHost(e.endpoint), client.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", failure)}
		}))
		require.NoError(t, err)
		_, err = official.Info(t.Context(), client.InfoOptions{})
		require.ErrorContains(t, e.explain("asking it", time.Second, err), want)
		_, err = official.ExecAttach(t.Context(), "x", client.ExecAttachOptions{})
		require.ErrorContains(t, e.explain("asking it", time.Second, err), want)
	}
}

func TestAnEngineThatIsTooOld(t *testing.T) {
	fakeEngine(t, func(l net.Listener) {
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Api-Version", "1.39") }))
	})
	require.ErrorContains(t, New().Check(t.Context()), "the engine is too old; Faultline takes Docker 19.03 or later")
}

// An engine behind TLS on this machine, by whose certificate it is known; it hangs where streams begin.
func TestAnEngineWithTLS(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/exec"):
			w.Write([]byte(`{"Id":"x"}`))
		case strings.HasSuffix(r.URL.Path, "/start"):
			<-hang
		default:
			w.Write([]byte(`{"OSType":"linux"}`))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hang) })
	dir := t.TempDir()
	write := func(name, kind string, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
	}
	own := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(own.PrivateKey)
	require.NoError(t, err)
	write("ca.pem", "CERTIFICATE", own.Certificate[0])
	write("cert.pem", "CERTIFICATE", own.Certificate[0])
	write("key.pem", "PRIVATE KEY", key)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	t.Setenv("DOCKER_CERT_PATH", dir)
	l := shortLimits
	l.ping = defaultLimits.ping
	e, err := connect(t.Context(), l)
	require.NoError(t, err)
	_, err = e.execStream(t.Context(), "c", []string{"true"})
	require.ErrorContains(t, err, "did not answer within 100ms (opening the control stream)")
}

// Nothing but the context that a call gets bounds it, before the answer as within it.
func TestEveryCallThatHangsEnds(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	var half atomic.Bool // of the answer comes
	fakeEngine(t, func(l net.Listener) {
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/_ping" || strings.HasSuffix(r.URL.Path, "/info") {
				w.Write([]byte(`{"OSType":"linux"}`))
				return
			}
			if half.Load() && r.URL.Path == "/version" { // which the pool asks for before it builds
				w.Write([]byte(`{"ApiVersion":"1.41"}`))
				return
			}
			if half.Load() {
				w.Write([]byte(`{"half`))
				w.(http.Flusher).Flush()
			}
			<-hang
		}))
	})
	l := shortLimits
	l.ping = defaultLimits.ping
	e, err := connect(t.Context(), l)
	require.NoError(t, err)
	spec := podstest.Spec(t, "hangs")
	c, err := newCluster(e, spec)
	require.NoError(t, err)
	p := c.byName[s1]
	p.holder, p.container = "h", "n"
	all := func(map[string]string) bool { return true }
	r := &removal{}
	for what, ask := range map[string]func(context.Context) error{
		"looking for the image":                      func(ctx context.Context) error { _, err := c.image(ctx); return err },
		"building the image":                         func(ctx context.Context) error { return e.buildImage(ctx, "i", []byte("context")) },
		"listing images":                             func(ctx context.Context) error { _, err := e.listImages(ctx); return err },
		"making the network faultline-" + c.run:      func(ctx context.Context) error { _, err := c.createNetworkNamed(ctx, "faultline-"+c.run); return err },
		"making the container " + c.containerName(p): func(ctx context.Context) error { return c.createNode(ctx, p, "i") },
		"starting dc1-s1":                            func(ctx context.Context) error { return c.startContainer(ctx, "n", "starting dc1-s1") },
		"looking at the pod of dc1-s1": func(ctx context.Context) error {
			_, err := c.inspect(ctx, "looking at the pod of dc1-s1", "h")
			return err
		},
		"preparing the control stream": func(ctx context.Context) error { _, err := e.execStream(ctx, "h", nil); return err },
		"reading the log of dc1-s1":    func(ctx context.Context) error { return c.logs(ctx, s1, "n", io.Discard, "all") },
		"listing containers":           func(ctx context.Context) error { _, _, err := e.listContainers(ctx, labelRun, all); return err },
		"listing volumes":              func(ctx context.Context) error { _, err := e.listVolumes(ctx, labelRun, all); return err },
		"listing networks":             func(ctx context.Context) error { _, err := e.listNetworks(ctx, labelRun, all); return err },
		"removing the container h":     func(ctx context.Context) error { return e.removeContainer(ctx, r, container.Summary{ID: "h"}) },
		"removing the volume v":        func(ctx context.Context) error { return e.removeVolume(ctx, r, volume.Volume{Name: "v"}) },
		"removing the network w": func(ctx context.Context) error {
			return e.removeNetwork(ctx, r, network.Summary{Network: network.Network{Name: "w", ID: "w"}})
		},
	} {
		half.Store(false)
		require.ErrorContains(t, ask(t.Context()), "did not answer within 100ms ("+what+")")
		half.Store(true)
		err := ask(t.Context())
		if strings.HasPrefix(what, "starting ") || strings.HasPrefix(what, "removing ") {
			continue // the rest of the answer says nothing
		}
		require.ErrorContains(t, err, "did not answer within 100ms ("+what+")", "half the answer")
	}
}
