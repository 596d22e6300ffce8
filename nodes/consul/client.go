// Package consul asks systems that speak Consul's HTTP API, and starts a real Consul (Real); the
// reference agent is started by package nodes/agent/system.
//
//	client := nodes.Methods{Conn: consul.NewClient(nodes.TCP("127.0.0.1:8500"), consul.ClientOptions{})}
//	answer, err := client.Get(ctx, "k1", history.ModeConsistent)
//	if nodes.CodeOf(err).Definite() { … }
//
// It also makes, renews and ends sessions and locks with them, and asks what an operator asks of a
// peer set. Its sessions stand on their TTL alone, and on no health check.
//
// The client is written for judgement, not for comfort: it never sends a request twice,
// and every error reports whether the operation may have taken effect. It is not a general
// client of Consul; that is github.com/hashicorp/consul/api.
package consul

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// ClientOptions are what a client may do beyond Consul's own API.
type ClientOptions struct {
	Hops bool // ask for the nodes that an answer came through
	// NamesNodes: a session in another datacenter is bound to a node of that, whose name the client looks up. Without
	// one a Consul would bind it to the node that is asked, which the other datacenter does not know.
	NamesNodes bool
	// Plain is for nodes that speak Consul's API and nothing beyond it: their answers to writes have
	// no modify index.
	Plain bool
}

// NewClient talks to a node.
func NewClient(at nodes.Endpoint, options ClientOptions) nodes.Conn {
	return &client{options: options, web: web.New(at)}
}

type client struct {
	options ClientOptions
	web     *web.Client
	dc      string // that is asked for; empty: that of the node
}

func (c *client) Close() { c.web.Close() }

// Do implements nodes.Conn.
func (c *client) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	return nodes.Dispatch(ctx, &client{c.options, c.web, op.DC}, op)
}

// LeastTTL is the least TTL of sessions that systems are started with, so that workloads can use
// shorter ones than Consul's 10 s.
const LeastTTL = time.Second

// Facts are what every system can be asked for that has Consul's API.
func Facts() nodes.Facts {
	return nodes.Facts{
		Port: 8500,
		Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS,
			history.OpDelete, history.OpDeleteCAS, history.OpDeleteTree, history.OpList, history.OpWatch,
			history.OpCreate, history.OpRenew, history.OpDestroy, history.OpAcquire, history.OpRelease},
		Modes: []nodes.Mode{
			{Name: history.ModeDefault, Doc: "by the leader, under its lease"},
			{Name: history.ModeConsistent, Doc: "by the leader, after a round of a quorum"},
			{Name: history.ModeStale, Doc: "by whoever is asked, as old as that is"},
		},
		OwnCopy:   history.ModeStale,
		Gossip:    faults.PortsOf(8301, 8302), // https://developer.hashicorp.com/consul/docs/reference/architecture/ports
		RPC:       faults.PortsOf(8300),
		Abilities: history.Abilities(),
	}
}

var modeQuery = map[history.Mode]string{
	history.ModeDefault:    "",
	history.ModeConsistent: "consistent",
	history.ModeStale:      "stale",
}

func (c *client) Get(ctx context.Context, key string, mode history.Mode) (nodes.Answer, error) {
	return c.get(ctx, key, "", mode)
}

func (c *client) get(ctx context.Context, key, query string, mode history.Mode) (nodes.Answer, error) {
	a, err := c.readKeys(ctx, key, query, mode)
	if err != nil {
		return nodes.Answer{}, err
	}
	if a.Status == http.StatusNotFound && a.Header.Get(nodes.HeaderIndex) != "" && a.Header.Get(nodes.HeaderError) == "" {
		return c.read(a, nodes.Answer{}) // absent: Consul tells the store's index even so
	}
	if a.Status != http.StatusOK {
		return nodes.Answer{}, classify(a)
	}
	item, err := parseEntry(a.Body, key)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return c.read(a, item)
}

// read is the item of a read, with the index of its answer.
func (c *client) read(a web.Answer, item nodes.Answer) (nodes.Answer, error) {
	var err error
	if item.Next, err = parseUint(a.Header, nodes.HeaderIndex); err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return c.item(a, item)
}

func (c *client) Put(ctx context.Context, key, value string) (nodes.Answer, error) {
	written, a, err := c.write(ctx, key, "", value)
	if err != nil {
		return nodes.Answer{}, err
	}
	if !written {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "a write without a condition was answered with false")
	}
	return c.written(a, value)
}

// Append is an extension of the reference agent's. A Consul ignores the parameter, and would write the element
// over the list: its Facts have no OpAppend.
func (c *client) Append(ctx context.Context, key, value string) (nodes.Answer, error) {
	done, a, err := c.write(ctx, key, "append", value)
	if err != nil {
		return nodes.Answer{}, err
	}
	if !done {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "an append was answered with false")
	}
	return c.written(a, value)
}

func (c *client) CAS(ctx context.Context, key, value string, index uint64) (nodes.Answer, error) {
	written, a, err := c.write(ctx, key, "cas="+strconv.FormatUint(index, 10), value)
	if err != nil {
		return nodes.Answer{}, err
	}
	if written {
		return c.written(a, value)
	}
	return c.mismatch(a, index)
}

// mismatch is the answer to a condition that did not hold, with what the node disclosed.
func (c *client) mismatch(a web.Answer, index uint64) (nodes.Answer, error) {
	item, err := parseDisclosure(a.Header)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	if item, err = c.item(a, item); err != nil {
		return nodes.Answer{}, err
	}
	return item, nodes.Errorf(history.CASMismatch, "the modify index is not %d", index)
}

// write puts a key and reads the answer, true or false.
func (c *client) write(ctx context.Context, key, query, value string) (written bool, a web.Answer, err error) {
	return c.change(ctx, http.MethodPut, key, query, value)
}

func (c *client) change(ctx context.Context, method, key, query, value string) (done bool, a web.Answer, err error) {
	if a, err = c.doKey(ctx, method, key, query, value); err != nil {
		return false, a, err
	}
	if a.Status != http.StatusOK {
		return false, a, classify(a)
	}
	switch strings.TrimSpace(string(a.Body)) {
	case "true":
		return true, a, nil
	case "false":
		return false, a, nil
	}
	return false, a, nodes.Errorf(history.Unknown, "a write was answered with %s, neither true nor false", web.Excerpt(a.Body))
}

// written is the item of a write that took effect.
func (c *client) written(a web.Answer, value string) (nodes.Answer, error) {
	if c.options.Plain && a.Header.Get(nodes.HeaderIndex) == "" {
		return c.item(a, nodes.Answer{Value: value, Found: true})
	}
	index, err := parseUint(a.Header, nodes.HeaderIndex)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return c.item(a, nodes.Answer{Value: value, Found: true, Index: index})
}

// item adds what the headers tell.
func (c *client) item(a web.Answer, item nodes.Answer) (nodes.Answer, error) {
	var err error
	if item.Hops, err = parseHops(a.Header.Get(nodes.HeaderHops)); err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	if item.LastSeen, err = parseLastContact(a.Header); err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return item, nil
}

func (c *client) Leave(ctx context.Context) error {
	return c.command(ctx, http.MethodPut, "/v1/agent/leave", "")
}

func (c *client) Transfer(ctx context.Context, to string) error {
	query := ""
	if to != "" {
		query = url.Values{"id": {to}}.Encode()
	}
	return c.command(ctx, http.MethodPost, "/v1/operator/raft/transfer-leader", query)
}

// command asks for something whose answer says only whether it was done.
func (c *client) command(ctx context.Context, method, path, query string) error {
	a, err := c.do(ctx, method, &url.URL{Path: path, RawQuery: query}, "")
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return classify(a)
	}
	var told struct{ Success *bool }
	if json.Unmarshal(a.Body, &told) == nil && told.Success != nil && !*told.Success {
		return nodes.Errorf(history.Unknown, "%s was answered with %s", path, web.Excerpt(a.Body))
	}
	return nil // many of these answers have no body, or one that nobody reads
}

// doKey asks about a key, or about all that begin with it.
func (c *client) doKey(ctx context.Context, method, key, query, body string) (web.Answer, error) {
	if key == "" && !strings.Contains(query, recurse) {
		return web.Answer{}, nodes.Errorf(history.BadRequest, "an empty key")
	}
	// Each part of the key is escaped by itself: a slash in a key is a slash in the path.
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	u := &url.URL{Path: "/v1/kv/" + key, RawPath: "/v1/kv/" + strings.Join(parts, "/"), RawQuery: query}
	return c.do(ctx, method, u, body)
}

func (c *client) do(ctx context.Context, method string, target *url.URL, body string) (web.Answer, error) {
	if c.dc != "" {
		asked := *target
		if asked.RawQuery != "" {
			asked.RawQuery += "&"
		}
		asked.RawQuery += url.Values{"dc": {c.dc}}.Encode()
		target = &asked
	}
	r := web.Request{Method: method, URL: target, Body: body}
	if c.options.Hops {
		r.Header = http.Header{nodes.HeaderWantHops: {"1"}}
	}
	return c.web.Do(ctx, r)
}

func decodeBase64(text string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	return string(b), err
}
