package nodes

// Headers with which the reference agent says more than Consul's HTTP API does. A
// client that does not know them sees plain Consul.
const (
	// HeaderWantHops, on a request, asks for HeaderHops.
	HeaderWantHops = "X-Faultline-Want-Hops"
	// HeaderHops is a JSON array of history.Hop, first the node that was asked.
	HeaderHops = "X-Faultline-Hops"
	// HeaderError is the Code of an answer with a status of 400 or more.
	HeaderError = "X-Faultline-Error"
	// HeaderCurrentIndex, on a compare-and-set whose compare failed, is the modify index
	// that the key has, 0 if it is absent.
	HeaderCurrentIndex = "X-Faultline-Current-Index"
	// HeaderCurrentValue is the value beside it, in standard base64.
	HeaderCurrentValue = "X-Faultline-Current-Value"
	// HeaderIndex is Consul's: on a read the index to wait for, on a write (an extension)
	// the Raft index of the entry, which is the key's modify index if the write was made.
	HeaderIndex = "X-Consul-Index"
	// HeaderLastContact is Consul's: milliseconds since the answering server heard from its leader.
	HeaderLastContact = "X-Consul-LastContact"
	// HeaderKnownLeader is Consul's: whether the answering server knows a leader.
	HeaderKnownLeader = "X-Consul-KnownLeader"
)
