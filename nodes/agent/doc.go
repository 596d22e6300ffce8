// Package agent is the reference agent: a small Consul, written against nodes.Host
// alone, so that the same code runs in a container and in virtual time.
//
//	a, err := agent.New(host, agent.Config{Name: "dc1-s1", DC: "dc1", Server: true, BootstrapExpect: 3, …})
//	err = a.Run(ctx) // until ctx ends, or the agent has left its cluster
//
// A server votes in Raft (hashicorp/raft) and keeps a copy of the key-value store; a
// client agent only forwards. All agents of a datacenter gossip (hashicorp/memberlist), and so do the
// servers of all datacenters. Each datacenter has a Raft, keys and sessions of its own; a request with
// ?dc= means those of another, and goes from a server here to one there.
// Both answer Consul's HTTP API, as far as it goes, with the extensions of nodes/wire.go.
//
// Where to read what:
//
//	wan.go         the pool of the servers of all datacenters
//	methods.go     every call that agents make, and who answers it
//	route.go       how a call is forwarded to the server that answers it; retry.go when it is retried
//	router.go      how a call gets into another datacenter
//	reads.go       the three read modes; readindex.go and leadership.go what makes them linearizable
//	transportfilter.go  leadership transfers that do not break the lease
//	writes.go      how a write becomes an entry, and which errors are definite
//	sessions.go    what a session guarantees, how it expires, lock delays; http_session.go the API
//	defects.go     the bugs that can be planted
//
// Sessions and locks are Consul's: the leader expires them by its monotonic clock, and answers a
// renewal after it has confirmed that it still led when it counted. When a server's log can no
// longer be written, Run returns that error: the server could neither vote nor follow.
//
// It is not for production: it is here to be broken.
package agent
