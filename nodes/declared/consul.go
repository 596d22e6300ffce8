package declared

import (
	"faultline/nodes"
	"faultline/nodes/consul"
	"faultline/workloads/history"
)

// consulFacts are those of Consul's keys: what the reference agent can do beyond them is its own.
func consulFacts(_ File, into *nodes.Facts) {
	into.Ops = []history.Op{history.OpRead, history.OpWrite, history.OpCAS}
	into.Modes, into.OwnCopy = consul.Facts().Modes, consul.Facts().OwnCopy
	into.Abilities = append(into.Abilities, history.ReportsIndexes)
}

func openConsul(_ *System, at nodes.Endpoint) operations {
	return consul.NewClient(at, consul.ClientOptions{Plain: true})
}
