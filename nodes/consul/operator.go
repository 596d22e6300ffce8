package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

var (
	_ nodes.Leaders    = (*client)(nil)
	_ nodes.Leaver     = (*client)(nil)
	_ nodes.Members    = (*client)(nil)
	_ nodes.WANMembers = (*client)(nil)
)

// Identity is the node's ID, of /v1/agent/self.
func (c *client) Identity(ctx context.Context) (string, error) {
	body, err := c.ask(ctx, "/v1/agent/self")
	if err != nil {
		return "", err
	}
	id, err := parseIdentity(body)
	if err != nil {
		return "", nodes.Errorf(history.Unknown, "%v", err)
	}
	return id, nil
}

func parseIdentity(body []byte) (string, error) {
	var self struct{ Config struct{ NodeID string } }
	if err := json.Unmarshal(body, &self); err != nil {
		return "", fmt.Errorf("an answer that is no agent's self, %s: %w", web.Excerpt(body), err)
	}
	if self.Config.NodeID == "" {
		return "", fmt.Errorf("an agent's self without a NodeID, %s", web.Excerpt(body))
	}
	return self.Config.NodeID, nil
}

// Peers is Raft's configuration, of /v1/operator/raft/configuration.
func (c *client) Peers(ctx context.Context) ([]nodes.Peer, error) {
	body, err := c.ask(ctx, "/v1/operator/raft/configuration")
	if err != nil {
		return nil, err
	}
	peers, err := parsePeers(body)
	if err != nil {
		return nil, nodes.Errorf(history.Unknown, "%v", err)
	}
	return peers, nil
}

// parsePeers reads the members of a peer set. A member without an ID cannot be told from
// others, so it is an error.
func parsePeers(body []byte) ([]nodes.Peer, error) {
	var set struct{ Servers []nodes.Peer }
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("an answer that is no peer set, %s: %w", web.Excerpt(body), err)
	}
	for _, p := range set.Servers {
		if p.ID == "" {
			return nil, fmt.Errorf("a peer set with a member that has no ID, %s", web.Excerpt(body))
		}
	}
	return set.Servers, nil
}

func (c *client) RemovePeer(ctx context.Context, id string) error {
	return c.command(ctx, http.MethodDelete, "/v1/operator/raft/peer", url.Values{"id": {id}}.Encode())
}
