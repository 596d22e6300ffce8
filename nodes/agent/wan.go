package agent

import (
	"fmt"
	"net/netip"
	"strings"

	"faultline/nodes/agent/internal/gossip"
)

// openWAN joins the pool of the servers of all datacenters, in which a server is called NODE.DC.
//
// One server that joins through one of another datacenter is enough: each server also seeks the
// servers of its own datacenter there, whose addresses it has from the LAN (Consul calls it flood
// join), and the pool tells all of them about all others.
func (a *Agent) openWAN(tags gossip.Tags) (err error) {
	a.wan, err = gossip.Start(gossip.Config{Host: a.host, Name: wanName(a.Name, a.DC), Bind: a.bind(a.SerfWANPort),
		Advertise: a.advertise(a.SerfWANPort), Tags: tags, Seeds: a.wanSeeds, MoreSeeds: a.floodSeeds, Profile: a.wanProfile,
		Admit: admitWAN, Forgets: a.defects[WANNeverRejoins]})
	if err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	a.router = newRouter(a, a.wan.Members)
	return nil
}

func wanName(node, dc string) string { return node + "." + dc }

// nodeOf is the name of a member of the pool of servers, without its datacenter.
func nodeOf(m gossip.Member) string { return strings.TrimSuffix(m.Name, "."+m.Tags.DC) }

// floodSeeds are the places of the servers of this datacenter in the pool of all servers.
func (a *Agent) floodSeeds() (seeds []netip.AddrPort) {
	for _, m := range a.gossip.Members() {
		if addr, err := netip.ParseAddrPort(m.Tags.WAN); err == nil && m.Tags.Server && m.Status == gossip.Alive && !m.Tags.Leaving {
			seeds = append(seeds, addr)
		}
	}
	return seeds
}

// admitWAN keeps client agents out of the pool of servers, and the pool of a LAN.
func admitWAN(name string, tags gossip.Tags) error {
	switch {
	case !tags.Server:
		return fmt.Errorf("it is no server")
	case !strings.HasSuffix(name, "."+tags.DC):
		return fmt.Errorf("it is not called NODE.%s", tags.DC)
	}
	return nil
}

// admitLAN keeps agents of other datacenters out of the pool of this one.
func (a *Agent) admitLAN(_ string, tags gossip.Tags) error {
	if tags.DC != a.DC {
		return fmt.Errorf("it is of datacenter %q", tags.DC)
	}
	return nil
}
