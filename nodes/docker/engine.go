package docker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"github.com/ory/dockertest/v3"
	dc "github.com/ory/dockertest/v3/docker"
	"github.com/ory/dockertest/v3/docker/opts"

	"faultline/nodes"
)

// limits are how long calls of the engine may take.
type limits struct {
	ping  time.Duration // the first call: is anybody there?
	call  time.Duration // every other
	build time.Duration // of an image
	gone  time.Duration // for an engine that fails to answer to come back: while a daemon starts again, pods may live on
}

var defaultLimits = limits{ping: 5 * time.Second, call: 30 * time.Second, build: 2 * time.Minute, gone: 10 * time.Second}

// engine is a Docker engine, all of whose calls end in time and whose errors say what to
// do. Calls go through call and create.
type engine struct {
	pool     *dockertest.Pool // makes things
	client   *client.Client   // does everything else
	endpoint string
	limits   limits
}

// connect finds the engine and makes sure that it can run pods that can be reached from
// here.
func connect(ctx context.Context, l limits) (*engine, error) {
	e := &engine{endpoint: wantedEndpoint(), limits: l}
	pool, err := dockertest.NewPool("")
	if err != nil {
		return nil, fmt.Errorf("no Docker engine can be at %q: %w; set DOCKER_HOST to unix:///PATH or tcp://HOST:PORT", e.endpoint, err)
	}
	e.pool = pool
	e.endpoint = pool.Client.Endpoint()
	pool.Client.Dialer = &net.Dialer{Timeout: l.ping}
	if err := onThisMachine(e.endpoint); err != nil {
		return nil, err
	}
	if e.client, err = officialClient(pool.Client); err != nil {
		return nil, fmt.Errorf("no Docker engine can be at %q: %w", e.endpoint, err)
	}
	info, err := call(ctx, e, l.ping, "asking the engine about itself", func(ctx context.Context) (client.SystemInfoResult, error) {
		// A negotiation that is left to the first call hides its errors.
		if _, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return client.SystemInfoResult{}, err
		}
		return e.client.Info(ctx, client.InfoOptions{})
	})
	if err != nil {
		return nil, err
	}
	if info.Info.OSType != "linux" {
		return nil, fmt.Errorf("the Docker engine at %s runs %s containers, and Faultline's are linux: switch it over", e.endpoint, info.Info.OSType)
	}
	return e, nil
}

// officialClient is the official client of the engine that a pool has found. A connection with
// TLS is dialed here: for streams the client would dial it without a context.
func officialClient(found *dc.Client) (*client.Client, error) {
	scheme, addr, ok := strings.Cut(found.Endpoint(), "://")
	if !ok {
		scheme, addr = "tcp", found.Endpoint()
	}
	config := found.TLSConfig
	if scheme == "https" && config == nil {
		config = &tls.Config{}
	}
	if scheme == "http" || scheme == "https" {
		scheme = "tcp"
	}
	options := []client.Opt{client.WithHost(scheme + "://" + addr)}
	if config != nil {
		options = append(options, client.WithDialContext((&tls.Dialer{Config: config}).DialContext))
	}
	return client.New(options...)
}

func wantedEndpoint() string {
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return host
	}
	return opts.DefaultHost
}

// onThisMachine refuses an engine whose published ports are on another loopback.
func onThisMachine(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme == "unix" || u.Hostname() == "localhost" {
		return nil // what does not parse, NewPool has accepted as a path
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the Docker engine at %s is on another machine, where Faultline cannot reach the nodes' ports: "+
		"run Faultline there, or unset DOCKER_HOST", endpoint)
}

var errSlow = errors.New("no answer in time")

const noLimit = 0

// call makes one call of the engine, which may take no longer than limit: f hands its context on
// to the client.
func call[T any](ctx context.Context, e *engine, limit time.Duration, what string, f func(context.Context) (T, error)) (T, error) {
	if limit != noLimit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errSlow)
		defer cancel()
	}
	value, err := f(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // which clients put in words of their own
	}
	return value, e.explain(what, limit, err)
}

// create is a call that makes something. It runs to its end even if ctx is cancelled
// meanwhile, so that whoever cleans up afterwards sees what it made.
func create[T any](ctx context.Context, e *engine, what string, f func(context.Context) (T, error)) (T, error) {
	if ctx.Err() != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	return call(context.WithoutCancel(ctx), e, e.limits.call, what, f)
}

// do is a call without a result.
func do(ctx context.Context, e *engine, what string, f func(context.Context) error) error {
	_, err := call(ctx, e, e.limits.call, what, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// explain turns an error of a call into a sentence that says how to fix it.
func (e *engine) explain(what string, limit time.Duration, err error) error {
	if err == nil {
		return nil
	}
	var dial *net.OpError
	text := err.Error()
	switch {
	case errors.Is(err, errSlow):
		return fmt.Errorf("the Docker engine at %s did not answer within %v (%s): is the daemon running and healthy? "+
			"Try `docker version`, restart the daemon, or set DOCKER_HOST: %w", e.endpoint, limit, what, err)
	case errors.Is(err, os.ErrPermission), client.IsErrConnectionFailed(err) && strings.Contains(text, notPermitted):
		return fmt.Errorf("the Docker engine at %s may not be used by this user: join the group docker, "+
			"or set DOCKER_HOST to an engine of your own: %w", e.endpoint, err)
	case errors.Is(err, dc.ErrConnectionRefused), errors.As(err, &dial) && dial.Op == "dial",
		client.IsErrConnectionFailed(err) && strings.Contains(text, notConnected):
		return fmt.Errorf("no Docker engine answers at %s: start the daemon, or set DOCKER_HOST to where it listens: %w", e.endpoint, err)
	}
	for _, known := range knownErrors {
		if strings.Contains(text, known.part) {
			return fmt.Errorf("%s: %s: %w", what, known.wayOut, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// The texts of errors of the official client that are all that is left of the error of the dial.
const (
	notPermitted = "permission denied while trying to connect"
	notConnected = "Cannot connect to the Docker daemon"
)

// knownErrors are texts by which engines report what a user can mend.
var knownErrors = []struct{ part, wayOut string }{
	{"no space left on device", "the engine's disk is full; free some space (`docker system df` shows what uses it), or run `faultline clean`"},
	{"could not find an available, non-overlapping IPv4 address pool", poolsExhausted},
	{"all predefined address pools have been fully subnetted", poolsExhausted},
	{"port is already allocated", portBusy},
	{"address already in use", portBusy},
	{"gathering device information while adding custom device \"" + fuse + "\"", fuseLacks},
	{"the minimum supported API version is", "the engine is too old; Faultline takes Docker 19.03 or later"},
	{"invalid CapAdd", rightsRefused}, // an engine that does not know one of them
	{"unable to apply caps", rightsRefused},
	{"unable to apply bounding set", rightsRefused},
}

const (
	poolsExhausted = "the engine has no subnet left for a network; run `faultline clean`, or remove networks that nobody uses (`docker network ls`)"
	portBusy       = "a port that the engine chose on 127.0.0.1 is busy; try again"
	fuseLacks      = "disk faults need " + fuse + " on the engine's machine; as root there, `modprobe fuse` (CONFIG_FUSE_FS), or leave disk faults out"
	rightsRefused  = "the engine refuses the capabilities that a pod takes; run the engine as root, without a policy that forbids them, " +
		"or leave faults of clocks and disks out"
)

// unlooked marks an error of connect: that there is no engine at all, where nobody has named
// one and the usual socket does not exist, or that what is on it could not be looked at.
func unlooked(err error) error {
	socket, unix := strings.CutPrefix(opts.DefaultHost, "unix://")
	if os.Getenv("DOCKER_HOST") == "" && unix {
		if _, gone := os.Stat(socket); errors.Is(gone, os.ErrNotExist) {
			return fmt.Errorf("%w (%w)", err, nodes.ErrAbsent)
		}
	}
	return fmt.Errorf("%w (%w)", err, nodes.ErrUnlooked)
}
