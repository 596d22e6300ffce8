package gossip

import (
	"fmt"

	"github.com/hashicorp/memberlist"
)

// admission keeps members out of a pool that do not belong there, such as client agents out of
// the pool of servers. A pool that holds one is not merged with at all: somebody gave the
// address of the wrong pool.
type admission func(name string, tags Tags) error

// NotifyAlive is for memberlist.
func (a admission) NotifyAlive(n *memberlist.Node) error {
	tags, err := ParseTags(n.Meta)
	if err == nil {
		err = a(n.Name, tags)
	}
	if err != nil {
		return fmt.Errorf("%s is not admitted: %w", n.Name, err)
	}
	return nil
}

// NotifyMerge is for memberlist.
func (a admission) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if err := a.NotifyAlive(n); err != nil {
			return err
		}
	}
	return nil
}
