package agent

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"faultline/nodes"
	"faultline/nodes/agent/internal/rpc"
	"faultline/workloads/history"
)

type (
	statusReply struct {
		Leader  string // address, empty if unknown
		Servers []peerInfo
		Last    uint64 // index of the last entry of its log
	}
	peerInfo struct {
		ID      string
		Name    string // empty if nobody of that ID is known any more
		Address string
		Voter   bool
		Leader  bool
	}
	timeoutNowArgs struct{ Term uint64 }
	transferArgs   struct{ To string } // name or ID; empty: Raft chooses
	removeArgs     struct{ ID string }
	expelArgs      struct{ ID, Address string } // one of them
)

// status is the peer set as this server knows it.
func (s *server) status(context.Context, none) (statusReply, error) {
	reply := statusReply{Leader: s.leaderAddr(), Last: s.raft.LastIndex()}
	for _, p := range s.raft.GetConfiguration().Configuration().Servers {
		reply.Servers = append(reply.Servers, peerInfo{ID: string(p.ID), Name: s.a.nameOf(p.ID), Address: string(p.Address),
			Voter: p.Suffrage == raft.Voter, Leader: string(p.Address) == reply.Leader})
	}
	return reply, nil
}

// transfer hands leadership over. It revokes the lease first, for the rest of the term:
// a transfer that fails here may still reach its target later.
func (s *server) transfer(ctx context.Context, args transferArgs) (none, error) {
	l, err := s.leadershipNow()
	if err != nil {
		return none{}, err
	}
	if len(s.voters()) < 2 {
		return none{}, nodes.Errorf(history.BadRequest, "there is no other voter to transfer leadership to")
	}
	id, address, err := s.transferTarget(args.To)
	if err != nil {
		return none{}, err
	}
	l.revoked.Store(true)
	s.transferTerm.Store(l.term)
	var f raft.Future
	if id == "" {
		f = s.raft.LeadershipTransfer()
	} else {
		f = s.raft.LeadershipTransferToServer(id, address)
	}
	if err := s.await(ctx, f); err != nil {
		return none{}, raftError(err)
	}
	return none{}, nil
}

func (s *server) transferTarget(to string) (raft.ServerID, raft.ServerAddress, error) {
	if to == "" {
		return "", "", nil
	}
	id := to
	for _, m := range s.a.gossip.Members() {
		if m.Name == to {
			id = m.Tags.ID
		}
	}
	for _, v := range s.voters() {
		switch {
		case string(v.ID) != id:
		case id == s.a.id:
			return "", "", nodes.Errorf(history.BadRequest, "%s leads already", to)
		default:
			return v.ID, v.Address, nil
		}
	}
	return "", "", nodes.Errorf(history.BadRequest, "%s is no voter", to)
}

// sendTimeoutNow is the last step of a transfer, which Raft takes when the target has
// every entry. The term is that in which the lease was revoked, whatever has happened
// since.
func (s *server) sendTimeoutNow(_ raft.ServerID, target raft.ServerAddress) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.a.times.Election)
	defer cancel()
	_, err := s.a.call(ctx, string(target), rpc.Request{Method: timeoutNowMethod.name, Final: true,
		Body: rpc.Encode(timeoutNowArgs{Term: s.transferTerm.Load()})})
	return err
}

// receiveTimeoutNow is the target's side of it.
func (s *server) receiveTimeoutNow(_ context.Context, args timeoutNowArgs) (none, error) {
	return none{}, s.filter.receiveTimeoutNow(args.Term)
}

// remove removes a server that leaves from the peer set.
func (s *server) remove(ctx context.Context, args removeArgs) (none, error) {
	if _, err := s.leadershipNow(); err != nil {
		return none{}, err
	}
	if err := s.await(ctx, s.raft.RemoveServer(raft.ServerID(args.ID), 0, enqueueTimeout(ctx))); err != nil {
		return none{}, raftError(err)
	}
	return none{}, nil
}

// expel removes a server from the peer set at an operator's request, whether or not it is up.
// While gossip reports it alive, and it answers, the leader adds it again.
func (s *server) expel(ctx context.Context, args expelArgs) (none, error) {
	for _, p := range s.raft.GetConfiguration().Configuration().Servers {
		switch {
		case string(p.ID) != args.ID && string(p.Address) != args.Address:
		case string(p.ID) == s.a.id:
			return none{}, nodes.Errorf(history.BadRequest, "%s leads; hand leadership over first", s.a.Name)
		default:
			return s.remove(ctx, removeArgs{ID: string(p.ID)})
		}
	}
	return none{}, nodes.Errorf(history.NotFound, "%q was not found in the Raft configuration", args.ID+args.Address)
}

// leaveRaft removes this server from the peer set. Without a leader, the others learn of it
// by gossip.
func (s *server) leaveRaft(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if len(s.voters()) < 2 {
		return
	}
	if _, leads := s.leading(); leads {
		if _, err := s.transfer(ctx, transferArgs{}); err != nil {
			s.a.log.Warn("leave: leadership is not handed over", "error", err)
		}
	}
	if _, _, err := invoke(ctx, s.a, removeMethod, removeArgs{ID: s.a.id}, originOptions); err != nil {
		s.a.log.Warn("leave: not removed from the peer set", "error", err)
	}
}
