package agent

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/serf/coordinate"

	"faultline/nodes/agent/internal/gossip"
)

// Methods about datacenters and the nodes in them.
var (
	nodesMethod = method[none, nodesReply]{name: "catalog.nodes", read: true,
		routing: always[none](toAnyServer), serve: (*server).nodes}
	datacentersMethod = method[none, datacentersReply]{name: "catalog.datacenters", read: true,
		routing: always[none](toAnyServer), serve: (*server).datacenters}
)

type (
	nodeInfo         struct{ ID, Node, Address, Datacenter string }
	nodesReply       struct{ Nodes []nodeInfo }
	datacentersReply struct {
		Names []string // the nearest first
		Maps  []dcMap
	}
	// dcMap is where the servers of a datacenter are, in Consul's form.
	dcMap struct {
		Datacenter  string
		AreaID      string
		Coordinates []dcCoordinate
	}
	dcCoordinate struct {
		Node    string
		Segment string
		Coord   *coordinate.Coordinate
	}
)

// liveNodes lists the agents of this datacenter that are alive.
func (a *Agent) liveNodes() []nodeInfo {
	out := []nodeInfo{}
	for _, m := range a.gossip.Members() {
		if m.Status == gossip.Alive {
			out = append(out, nodeInfo{ID: m.Tags.ID, Node: m.Name, Address: m.Addr.Addr().String(), Datacenter: m.Tags.DC})
		}
	}
	return out
}

func (s *server) nodes(context.Context, none) (nodesReply, error) {
	return nodesReply{s.a.liveNodes()}, nil
}

// nodesOf lists the nodes of the datacenter that a request means: those of its own every agent knows by gossip.
func (a *Agent) nodesOf(r *http.Request) ([]nodeInfo, error) {
	dc := dcOf(r)
	if dc == "" || dc == a.DC {
		return a.liveNodes(), nil
	}
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, _, err := invoke(ctx, a, nodesMethod, none{}, meant(dc))
	return reply.Nodes, err
}

func (a *Agent) catalogNodes(w http.ResponseWriter, r *http.Request) {
	all, err := a.nodesOf(r)
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, r, all)
}

// datacenters lists those that this server knows, by the median of the round-trip times to their servers,
// as their coordinates have it; those to which it is not known come last.
func (s *server) datacenters(context.Context, none) (datacentersReply, error) {
	where := s.a.wan.Coordinates()
	self := where[wanName(s.a.Name, s.a.DC)]
	byDC := map[string]*dcMap{}
	distances := map[string][]time.Duration{}
	for _, name := range s.a.router.datacenters() {
		byDC[name] = &dcMap{Datacenter: name, AreaID: "wan", Coordinates: []dcCoordinate{}}
	}
	for _, m := range s.a.wan.Members() {
		at, known := where[m.Name]
		if d := byDC[m.Tags.DC]; d != nil && known && m.Status != gossip.Left {
			d.Coordinates = append(d.Coordinates, dcCoordinate{Node: nodeOf(m), Coord: at})
			distances[m.Tags.DC] = append(distances[m.Tags.DC], self.DistanceTo(at))
		}
	}
	return rankDatacenters(s.a.DC, byDC, distances), nil
}

func rankDatacenters(own string, byDC map[string]*dcMap, distances map[string][]time.Duration) (reply datacentersReply) {
	far := func(dc string) time.Duration {
		all := slices.Sorted(slices.Values(distances[dc]))
		switch {
		case dc == own:
			return -1
		case len(all) == 0:
			return 1<<63 - 1
		}
		return all[len(all)/2]
	}
	reply.Names = slices.SortedFunc(maps.Keys(byDC), func(a, b string) int {
		return cmp.Or(cmp.Compare(far(a), far(b)), cmp.Compare(a, b))
	})
	for _, name := range reply.Names {
		reply.Maps = append(reply.Maps, *byDC[name])
	}
	return reply
}

func (a *Agent) knownDatacenters(w http.ResponseWriter, r *http.Request) (datacentersReply, bool) {
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, _, err := invoke(ctx, a, datacentersMethod, none{}, originOptions)
	if err != nil {
		writeError(w, err)
	}
	return reply, err == nil
}

func (a *Agent) catalogDatacenters(w http.ResponseWriter, r *http.Request) {
	if reply, ok := a.knownDatacenters(w, r); ok {
		writeJSON(w, r, reply.Names)
	}
}

func (a *Agent) coordinateDatacenters(w http.ResponseWriter, r *http.Request) {
	if reply, ok := a.knownDatacenters(w, r); ok {
		writeJSON(w, r, reply.Maps)
	}
}
