package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"faultline/nodes/injector"
	"faultline/nodes/pods"
)

// reachLimit is how long a pod on this machine may take to accept a connection.
const reachLimit = time.Second

// chooseEndpoints gives clients the pods' own addresses if all can be reached from here,
// and the published ports if not (where the engine runs in a virtual machine, or without
// root). An address of its own is worth the question: the engine's proxy behind a
// published port accepts connections for a node that is dead, and then drops them, so
// that clients cannot tell a request that was never received from one that was.
func (c *cluster) chooseEndpoints(ctx context.Context, apiPort int) error {
	err := pods.Each(c.pods, func(p *pod) error { return reach(ctx, netip.AddrPortFrom(p.addr, injector.ProbePort)) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		c.log.Info("the pods cannot be reached by their own addresses; clients use published ports", "why", err)
		return nil
	}
	for _, p := range c.pods {
		p.endpoint = net.JoinHostPort(p.addr.String(), strconv.Itoa(apiPort))
	}
	return nil
}

// reach tells whether the probe port, which every pod has open, accepts a connection.
func reach(ctx context.Context, addr netip.AddrPort) error {
	if os.Getenv(publishedPorts) == "1" {
		return fmt.Errorf("%s is set", publishedPorts)
	}
	ctx, cancel := context.WithTimeout(ctx, reachLimit)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", addr.String())
	if err != nil {
		return err
	}
	return errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close())
}

// publishedPorts is an environment variable that, set to 1, has clients use published
// ports in any case.
const publishedPorts = "FAULTLINE_PUBLISHED_PORTS"
