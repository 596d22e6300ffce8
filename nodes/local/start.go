//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"

	"faultline/nodes"
	"faultline/nodes/local/space"
	"faultline/nodes/pods"
	"faultline/topologies"
)

func start(ctx context.Context, spec nodes.Spec) (*cluster, error) {
	spec = pods.Heard(spec)
	spec.Progress("building the binaries")
	image, err := pods.ImageOf(ctx, spec.System)
	if err != nil {
		return nil, err
	}
	var program []byte
	if image.Program != "" {
		if program, err = os.ReadFile(image.Program); err != nil {
			return nil, fmt.Errorf("the binary of %s: %w", spec.System.Name(), err)
		}
	}
	c, err := newCluster(ctx, spec.Run, spec.Log, spec.Topology.Nodes(), program)
	if err != nil {
		return nil, err
	}
	c.rights, c.image = pods.RightsFor(spec.Needs), image
	spec.Progress(fmt.Sprintf("starting %d pods", len(c.pods)))
	if err := c.start(ctx, spec); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// newCluster lays out a run's directory; nothing runs yet.
func newCluster(ctx context.Context, run string, log *slog.Logger, all []topologies.Node, program []byte) (*cluster, error) {
	injector, err := pods.InjectorBinary(ctx)
	if err != nil {
		return nil, err
	}
	c := &cluster{log: log, byName: map[string]*pod{}, lives: pods.NewLives(), oom: newOOMKills(os.DirFS("/"))}
	var names []string
	addr := gateway.Addr()
	for _, n := range all {
		addr = addr.Next()
		p := &pod{node: n, addr: addr}
		c.pods = append(c.pods, p)
		c.byName[n.Name] = p
		names = append(names, n.Name)
	}
	if c.claim, err = makeDir(run); err != nil {
		return nil, err
	}
	c.files = files{c.claim.dir()}
	if err := c.files.lay(injector, program, names); err != nil {
		return nil, errors.Join(err, c.claim.remove(ctx))
	}
	return c, nil
}

// start makes the pods, and, as they are ready, starts all nodes at once.
func (c *cluster) start(ctx context.Context, spec nodes.Spec) error {
	places := make([]nodes.NodeInfo, len(c.pods))
	for i, p := range c.pods {
		places[i] = nodes.NodeInfo{Node: p.node, Addr: p.addr, Dir: space.DataDir}
		p.api = netip.AddrPortFrom(p.addr, uint16(spec.System.Facts().Port))
	}
	if err := c.open(ctx, pods.LauncherOf(spec.System, places, c.Endpoint)); err != nil {
		return err
	}
	spec.Progress(fmt.Sprintf("starting %d nodes", len(c.pods)))
	err := pods.Each(c.pods, func(p *pod) error { return c.group.Begin(ctx, p.node.Name, spec.Baseline) })
	if err != nil {
		return err
	}
	return c.group.Settle(ctx)
}

// open makes the namespaces and pods, and waits until all are ready.
func (c *cluster) open(ctx context.Context, launch pods.Launcher) error {
	config := space.Config{Gateway: gateway}
	var logs []string
	for _, p := range c.pods {
		config.Pods = append(config.Pods, space.Pod{
			Name:     p.node.Name,
			Addr:     netip.PrefixFrom(p.addr, gateway.Bits()),
			Injector: c.files.injector(),
			Files:    c.image.Files,
			Data:     c.files.data(p.node.Name),
			Root:     c.files.root(),
			Rights:   c.rights,
		})
		if c.image.Program != "" {
			config.Pods[len(config.Pods)-1].Node = c.files.node()
		}
		logs = append(logs, c.files.log(p.node.Name))
	}
	host, err := open(ctx, c.files.injector(), config, logs)
	if err != nil {
		return err
	}
	c.host = host
	var members []pods.Member
	for i, p := range c.pods {
		p.supervisor = newSupervisor(host.pods[i].supervisor, c.recorder(p.node.Name),
			func(err error) error { return c.gone(p.node.Name, err) })
		members = append(members, pods.Member{
			Node:  p.node,
			Addr:  p.addr,
			Open:  func(context.Context) (io.ReadWriteCloser, error) { return host.pods[i].takeControl() },
			Start: func(ctx context.Context, l nodes.Launch) error { return p.supervisor.start(ctx, l) },
			Died:  func(context.Context) error { return c.died(p) },
		})
	}
	c.group = pods.NewGroup(c.log, launch, members)
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("the pods were not ready within %v", readyLimit))
	defer cancel()
	err = pods.Each(c.pods, func(p *pod) error {
		_, err := p.supervisor.until(ctx, func(s supervisorState) bool { return s.ready })
		return err
	})
	return explainAll(err)
}
