package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes/injector"
	"faultline/nodes/pods"
)

// publishedPorts is an environment variable that, set to 1, has clients use published
// ports in any case.
const publishedPorts = "FAULTLINE_PUBLISHED_PORTS"

// createNetwork makes the pods' network: one that leads nowhere else, if their own addresses can be
// reached from here, and otherwise (the engine runs in a virtual machine, or without root) one
// that ports can be published of.
func (c *cluster) createNetwork(ctx context.Context) (name string, err error) {
	name = "faultline-" + c.run
	made, err := c.createNetworkNamed(ctx, name)
	if err != nil || c.published {
		return name, err
	}
	seen, err := call(ctx, c.engine, c.engine.limits.call, "looking at the network "+name, func(ctx context.Context) (client.NetworkInspectResult, error) {
		return c.engine.client.NetworkInspect(ctx, made.ID, client.NetworkInspectOptions{})
	})
	if err != nil {
		return name, err
	}
	here, err := isHere(seen.Network)
	if err != nil || here {
		return name, err
	}
	c.log.Info("the pods cannot be reached by their own addresses; clients use published ports")
	err = do(ctx, c.engine, "removing the network "+name, func(ctx context.Context) error {
		_, err := c.engine.client.NetworkRemove(ctx, made.ID, client.NetworkRemoveOptions{})
		return err
	})
	if err != nil {
		return name, err
	}
	c.published = true
	_, err = c.createNetworkNamed(ctx, name)
	return name, err
}

// createNetworkNamed has the pool make it: the official client would not ask an engine before
// Docker 25 to refuse a second network of the name.
func (c *cluster) createNetworkNamed(ctx context.Context, name string) (*dc.Network, error) {
	made, err := create(ctx, c.engine, "making the network "+name, func(ctx context.Context) (*dc.Network, error) {
		return c.engine.pool.Client.CreateNetwork(dc.CreateNetworkOptions{
			Name:           name,
			Driver:         "bridge",
			CheckDuplicate: true,
			Internal:       !c.published,
			Labels:         c.labels(nil),
			Context:        ctx,
		})
	})
	var refused *dc.Error
	if errors.As(err, &refused) && refused.Status == http.StatusConflict {
		err = c.nameTaken(err)
	}
	return made, err
}

// isHere reports whether this machine has the network's bridge, by the address of that: it is in
// the network, then, and needs no published ports.
func isHere(seen network.Inspect) (bool, error) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(seen.IPAM.Config, func(c network.IPAMConfig) bool {
		return slices.ContainsFunc(own, func(a net.Addr) bool {
			prefix, err := netip.ParsePrefix(a.String())
			return err == nil && prefix.Addr() == c.Gateway
		})
	}), nil
}

// locate reads from an inspection where the pod is.
func (p *pod) locate(seen inspection, networkName string, published bool) error {
	if seen.NetworkSettings == nil {
		return fmt.Errorf("the engine gave %s no network (the pod is %s)", p.node.Name, seen.State.Status)
	}
	place := seen.NetworkSettings.Networks[networkName]
	if place == nil || !place.IPAddress.IsValid() {
		return fmt.Errorf("the engine gave %s no address (the pod is %s)", p.node.Name, seen.State.Status)
	}
	p.addr, p.proxy = place.IPAddress, netip.AddrPortFrom(place.IPAddress, injector.ProxyPort).String()
	if !published {
		return nil
	}
	bound := seen.NetworkSettings.Ports[network.MustParsePort(proxyPort)]
	if len(bound) == 0 {
		return fmt.Errorf("the engine published no port for %s (the pod is %s)", p.node.Name, seen.State.Status)
	}
	p.proxy = net.JoinHostPort("127.0.0.1", bound[0].HostPort)
	return nil
}

// reachLimit is how long a pod on this machine may take to answer.
const reachLimit = 5 * time.Second

// reach makes sure that every pod's proxy answers, whatever the node does.
func (c *cluster) reach(ctx context.Context) error {
	return pods.Each(c.pods, func(p *pod) error {
		ctx, cancel := context.WithTimeoutCause(ctx, reachLimit, fmt.Errorf("no answer within %v", reachLimit))
		defer cancel()
		conn, err := injector.DialProxy(ctx, p.proxy, c.secret)
		switch {
		case err == nil:
			return conn.Close()
		case errors.Is(err, injector.ErrRefused):
			return nil
		case c.published:
			return err
		}
		return fmt.Errorf("%s cannot be reached, although its network is this machine's (does a firewall forbid it?); "+
			"set %s=1 to have clients use published ports: %w", p.node.Name, publishedPorts, err)
	})
}
