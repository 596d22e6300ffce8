package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
	"faultline/workloads/history"
)

// cluster implements nodes.Cluster.
type cluster struct {
	engine    *engine
	log       *slog.Logger
	image     func(context.Context) (name string, err error) // makes sure of it
	progress  func(string)
	run       string
	id        string // value of labelCluster
	owner     string // value of labelOwner
	rights    injector.Rights
	secret    injector.Secret // of the pods' proxies
	published bool            // ports, since the pods' addresses cannot be reached
	pods      []*pod
	byName    map[string]*pod
	group     *pods.Group // all pods, once they have addresses

	lives    *pods.Lives
	watching context.Context // ends with the cluster
	unwatch  func()

	closing sync.Mutex
	closed  bool
}

// Endpoint is the proxy of the pod, at the pod's own address or, where that cannot be reached, at
// a port that is published on 127.0.0.1. The pod lives as long as the cluster.
func (c *cluster) Endpoint(node string) nodes.Endpoint {
	return nodes.Endpoint{Node: node, Dial: func(ctx context.Context) (net.Conn, error) {
		p, err := pods.Find(c.byName, node)
		if err != nil {
			return nil, err
		}
		return injector.DialProxy(ctx, p.proxy, c.secret)
	}}
}

// Set sends every pod its whole desired state.
func (c *cluster) Set(ctx context.Context, want faults.Conditions) error {
	return c.group.Set(ctx, want)
}

// Measure probes every directed link and every process from inside the pods.
func (c *cluster) Measure(ctx context.Context) (faults.Measurement, error) {
	return c.group.Measure(ctx)
}

// Echo makes exchanges from pod to pod.
func (c *cluster) Echo(ctx context.Context, from, to string) (history.Echo, error) {
	return c.group.Echo(ctx, from, to)
}

// Exited waits until the end of the node's process is recorded.
func (c *cluster) Exited(ctx context.Context, node string) error {
	p, err := pods.Find(c.byName, node)
	if err != nil {
		return err
	}
	return c.waitEnd(ctx, p)
}

// Logs copies the node's standard output and standard error, over all its starts.
func (c *cluster) Logs(ctx context.Context, node string, w io.Writer) error {
	p, err := pods.Find(c.byName, node)
	if err != nil {
		return err
	}
	return c.logs(ctx, p.node.Name, p.container, w, "all")
}

func (c *cluster) logs(ctx context.Context, name, container string, w io.Writer, lines string) error {
	return do(ctx, c.engine, "reading the log of "+name, func(ctx context.Context) error {
		log, err := c.engine.client.ContainerLogs(ctx, container, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: lines})
		if err != nil {
			return err
		}
		defer log.Close()
		_, err = stdcopy.StdCopy(w, w, log)
		return err
	})
}

const lastWords = "5" // lines of its log

// died is an error that says how the node's container has ended, if it has.
func (c *cluster) died(ctx context.Context, p *pod) error {
	last := p.life.Load()
	if last == nil {
		return nil
	}
	select {
	case <-last.over:
	default:
		return nil
	}
	if last.end.Kind == "" {
		return fmt.Errorf("how %s ended nobody can tell any more: its cluster is closed or lost", p.node.Name)
	}
	var log bytes.Buffer
	err := c.logs(ctx, p.node.Name, p.container, &log, lastWords)
	return errors.Join(fmt.Errorf("%s ended as soon as it was started, with %s: %s",
		p.node.Name, last.end.How(), bytes.TrimSpace(log.Bytes())), err)
}

var _ nodes.Cluster = (*cluster)(nil)
