package gossip

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Tags is what a node reports about itself to all others.
type Tags struct {
	Server  bool
	DC      string
	ID      string // of the node's directory: it survives restarts and readdressing
	RPC     string // IP:PORT for Raft and calls, of servers
	WAN     string // IP:PORT of its place in the pool of the servers of all datacenters, of servers
	Expect  int    // servers: how many of them shall make the first peer set
	Build   string
	HTTPAPI string // IP:PORT where clients are answered
	Leaving bool   // it is about to go on purpose
}

const metaVersion = 1

// Encode is the form in which tags travel: a version, then pairs of strings sorted by
// name, each string behind its length in a byte.
func (t Tags) Encode() ([]byte, error) {
	pairs := map[string]string{"dc": t.DC, "id": t.ID, "rpc": t.RPC, "wan": t.WAN, "build": t.Build, "http": t.HTTPAPI,
		"role": "client"}
	if t.Server {
		pairs["role"] = "server"
		pairs["expect"] = strconv.Itoa(t.Expect)
	}
	if t.Leaving {
		pairs["leaving"] = "yes"
	}
	b := []byte{metaVersion}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if pairs[name] == "" {
			continue
		}
		for _, s := range []string{name, pairs[name]} {
			if len(s) > 255 {
				return nil, fmt.Errorf("gossip: tag %s of %d bytes", name, len(s))
			}
			b = append(append(b, byte(len(s))), s...)
		}
	}
	return b, nil
}

var errMeta = errors.New("gossip: tags are damaged")

// ParseTags reads what Encode wrote. Tags that it does not know are left out.
func ParseTags(data []byte) (Tags, error) {
	if len(data) == 0 || data[0] != metaVersion {
		return Tags{}, errMeta
	}
	pairs := map[string]string{}
	rest := data[1:]
	for len(rest) > 0 {
		var pair [2]string
		for i := range pair {
			if len(rest) == 0 || int(rest[0]) >= len(rest) {
				return Tags{}, errMeta
			}
			n := 1 + int(rest[0])
			pair[i], rest = string(rest[1:n]), rest[n:]
		}
		pairs[pair[0]] = pair[1]
	}
	t := Tags{DC: pairs["dc"], ID: pairs["id"], RPC: pairs["rpc"], WAN: pairs["wan"], Build: pairs["build"], HTTPAPI: pairs["http"],
		Leaving: pairs["leaving"] == "yes"}
	switch pairs["role"] {
	case "client":
	case "server":
		t.Server = true
		expect, err := strconv.ParseUint(pairs["expect"], 10, 16)
		if err != nil {
			return Tags{}, errMeta
		}
		t.Expect = int(expect)
	default:
		return Tags{}, errMeta
	}
	return t, nil
}
