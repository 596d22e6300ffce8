package declared

import (
	"faultline/nodes"
	"faultline/nodes/etcd"
	"faultline/workloads/history"
)

// etcdFacts are those of etcd's keys.
func etcdFacts(_ File, into *nodes.Facts) {
	into.Ops = []history.Op{history.OpRead, history.OpWrite, history.OpCAS}
	into.Modes, into.OwnCopy = etcd.Modes(), etcd.ModeSerializable
	into.Abilities = append(into.Abilities, history.ReportsIndexes)
}

func openEtcd(_ *System, at nodes.Endpoint) operations { return etcd.NewClient(at) }
