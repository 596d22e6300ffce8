package agent

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/workloads/history"
)

// serfStatus is Consul's number for the status of a member.
var serfStatus = map[gossip.Status]int{gossip.Alive: 1, gossip.Left: 3, gossip.Failed: 4}

const serfLeaving = 2

type jsonMember struct {
	Name        string
	Addr        string
	Port        uint16
	Tags        map[string]string
	Status      int
	ProtocolMin uint8
	ProtocolMax uint8
	ProtocolCur uint8
	DelegateMin uint8
	DelegateMax uint8
	DelegateCur uint8
}

func memberJSON(m gossip.Member) jsonMember {
	tags := map[string]string{"role": "node", "dc": m.Tags.DC, "id": m.Tags.ID, "build": m.Tags.Build}
	if m.Tags.Server {
		tags["role"] = "consul"
		tags["rpc_addr"] = m.Tags.RPC
		tags["wan_addr"] = m.Tags.WAN
		tags["expect"] = strconv.Itoa(m.Tags.Expect)
	}
	status := serfStatus[m.Status]
	if m.Status == gossip.Alive && m.Tags.Leaving {
		status = serfLeaving
	}
	return jsonMember{Name: m.Name, Addr: m.Addr.Addr().String(), Port: m.Addr.Port(), Tags: tags,
		Status: status, ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 5, DelegateCur: 4}
}

// agentMembers lists the members of the pool of this datacenter, or with ?wan those of the pool of the servers of
// all datacenters, of which a client agent knows nobody.
func (a *Agent) agentMembers(w http.ResponseWriter, r *http.Request) {
	out := []jsonMember{}
	pool := a.gossip
	if has(r, "wan") {
		pool = a.wan
	}
	if pool == nil {
		writeJSON(w, r, out)
		return
	}
	for _, m := range pool.Members() {
		out = append(out, memberJSON(m))
	}
	writeJSON(w, r, out)
}

type jsonSelf struct {
	Config struct {
		Datacenter string
		NodeName   string
		NodeID     string
		Server     bool
		Version    string
	}
	Member jsonMember
	Raft   jsonRaft    // an extension, as what follows
	Usage  nodes.Usage // of the process
}

// jsonRaft is the state of a server's Raft; client agents set only Boot.
type jsonRaft struct {
	Boot    string // differs after every start of the agent
	State   string
	Leader  string // node name
	Term    uint64
	Commit  uint64
	Applied uint64
	Last    uint64
}

func (a *Agent) agentSelf(w http.ResponseWriter, r *http.Request) {
	var out jsonSelf
	out.Config.Datacenter, out.Config.NodeName, out.Config.NodeID = a.DC, a.Name, a.id
	out.Config.Server, out.Config.Version = a.Server, Build
	for _, m := range a.gossip.Members() {
		if m.Name == a.Name {
			out.Member = memberJSON(m)
		}
	}
	if s := a.server.Load(); s != nil {
		out.Raft = s.describe()
	}
	out.Raft.Boot = a.boot
	if host, ok := a.host.(nodes.UsageTeller); ok {
		out.Usage = host.Usage()
	}
	writeJSON(w, r, out)
}

// describe samples Raft. State and term belong together.
func (s *server) describe() jsonRaft {
	out := jsonRaft{Commit: s.raft.CommitIndex(), Applied: s.store.Applied(), Last: s.raft.LastIndex()}
	for {
		out.Term = s.raft.CurrentTerm()
		out.State = s.raft.State().String()
		_, leader := s.raft.LeaderWithID()
		out.Leader = s.a.nameOf(leader)
		if out.Term == s.raft.CurrentTerm() {
			return out
		}
	}
}

// nameOf returns the name of the server with an ID; empty if gossip does not know it.
func (a *Agent) nameOf(id raft.ServerID) string {
	switch {
	case id == "":
		return ""
	case string(id) == a.id:
		return a.Name
	}
	for _, m := range a.gossip.Members() {
		if m.Tags.ID == string(id) {
			return m.Name
		}
	}
	return ""
}

func (a *Agent) agentLeave(w http.ResponseWriter, r *http.Request) {
	// The leave goes on even if the client does not wait for it.
	ctx, cancel := context.WithTimeout(a.runCtx, 10*time.Second)
	defer cancel()
	a.leave(ctx)
	w.WriteHeader(http.StatusOK)
	a.quit() // the server lets this answer go out first
}

// cluster asks a server for the peer set; the method says which server.
func (a *Agent) cluster(w http.ResponseWriter, r *http.Request, m method[none, statusReply]) (statusReply, bool) {
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, _, err := invoke(ctx, a, m, none{}, meant(dcOf(r)))
	if err != nil {
		writeError(w, err)
	}
	return reply, err == nil
}

func (a *Agent) statusLeader(w http.ResponseWriter, r *http.Request) {
	if reply, ok := a.cluster(w, r, clusterMethod); ok {
		writeJSON(w, r, reply.Leader)
	}
}

func (a *Agent) statusPeers(w http.ResponseWriter, r *http.Request) {
	reply, ok := a.cluster(w, r, clusterMethod)
	if !ok {
		return
	}
	peers := []string{}
	for _, p := range reply.Servers {
		peers = append(peers, p.Address)
	}
	writeJSON(w, r, peers)
}

// raftConfiguration is the peer set as the leader knows it, or with ?stale any server.
func (a *Agent) raftConfiguration(w http.ResponseWriter, r *http.Request) {
	type server struct {
		ID              string
		Node            string
		Address         string
		Leader          bool
		ProtocolVersion string
		Voter           bool
	}
	m := configurationMethod
	if has(r, "stale") {
		m = clusterMethod
	}
	reply, ok := a.cluster(w, r, m)
	if !ok {
		return
	}
	var out struct {
		Servers []server
		Index   uint64 // 0: Raft no longer reports it, and Consul answers the same
	}
	for _, p := range reply.Servers {
		out.Servers = append(out.Servers, server{ID: p.ID, Node: p.Name, Address: p.Address,
			Leader: p.Leader, ProtocolVersion: "3", Voter: p.Voter})
	}
	writeJSON(w, r, out)
}

func (a *Agent) transferLeader(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	_, _, err := invoke(ctx, a, transferMethod, transferArgs{To: r.URL.Query().Get("id")}, meant(dcOf(r)))
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, r, struct{ Success bool }{true})
}

// removePeer removes a server from the peer set, by ?id or by ?address.
func (a *Agent) removePeer(w http.ResponseWriter, r *http.Request) {
	args := expelArgs{ID: r.URL.Query().Get("id"), Address: r.URL.Query().Get("address")}
	if (args.ID == "") == (args.Address == "") {
		writeError(w, nodes.Errorf(history.BadRequest, "Must specify either ?id with the server's ID or ?address with the server's IP:PORT"))
		return
	}
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	if _, _, err := invoke(ctx, a, expelMethod, args, meant(dcOf(r))); err != nil {
		writeError(w, err)
	}
}
