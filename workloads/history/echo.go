package history

import "time"

// Echo is how small requests and answers fared over TCP between the pods of two nodes, beside the system, since the event of the
// pair before this one: what TCP alone makes of their link. The event's node has sent the requests.
type Echo struct {
	To   string          `json:"to"`
	Took []time.Duration `json:"took_ns,omitempty"` // from each request to its answer
	Lost int             `json:"lost,omitempty"`    // exchanges whose connection failed, or did not open
}
