package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// WANMembers is the pool of servers of all datacenters, of /v1/agent/members?wan.
func (c *client) WANMembers(ctx context.Context) ([]history.WANMember, error) {
	body, err := c.askWith(ctx, "/v1/agent/members", "wan=1")
	if err != nil {
		return nil, err
	}
	members, err := parseWANMembers(body)
	if err != nil {
		return nil, nodes.Errorf(history.Unknown, "%v", err)
	}
	return members, nil
}

// serfStatuses are those of serf.MemberStatus; 0 is none.
var serfStatuses = map[int]history.MemberStatus{1: history.MemberAlive, 2: history.MemberLeaving, 3: history.MemberLeft, 4: history.MemberFailed}

// parseWANMembers reads members that are called NODE.DC and say by tags what they are.
func parseWANMembers(body []byte) ([]history.WANMember, error) {
	var told []struct {
		Name   string
		Tags   map[string]string
		Status int
	}
	if err := json.Unmarshal(body, &told); err != nil {
		return nil, fmt.Errorf("an answer that is no list of members, %s: %w", web.Excerpt(body), err)
	}
	var members []history.WANMember
	for _, m := range told {
		dc := m.Tags["dc"]
		name, ok := strings.CutSuffix(m.Name, "."+dc)
		status, known := serfStatuses[m.Status]
		if dc == "" || name == "" || !ok || !known {
			return nil, fmt.Errorf("a member of the WAN pool that is not called NODE.DC, or has no datacenter or status: %s", web.Excerpt(body))
		}
		members = append(members, history.WANMember{Name: name, DC: dc, Server: m.Tags["role"] == "consul", Status: status})
	}
	return members, nil
}
