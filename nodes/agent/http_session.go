package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

// The limits are Consul's, but for the least TTL, which is Consul's session_ttl_min.
const (
	defaultLockDelay = 15 * time.Second
	maxLockDelay     = 60 * time.Second
	minTTL           = 10 * time.Second
	maxTTL           = 24 * time.Hour
)

// jsonSession is a session as Consul shows it.
type jsonSession struct {
	ID            string
	Name          string
	Node          string
	LockDelay     time.Duration // ns
	Behavior      string
	TTL           string
	NodeChecks    []string
	ServiceChecks []string
	CreateIndex   uint64
	ModifyIndex   uint64
}

// healthCheck is the check of a node's gossip health.
const healthCheck = "serfHealth"

func shownSession(s kv.Session) jsonSession {
	out := jsonSession{ID: s.ID, Name: s.Name, Node: s.Node, LockDelay: s.LockDelay, Behavior: "release", NodeChecks: []string{},
		CreateIndex: s.CreateIndex, ModifyIndex: s.CreateIndex}
	if s.TTL > 0 {
		out.TTL = s.TTL.String()
	}
	if s.Delete {
		out.Behavior = "delete"
	}
	if s.Checked {
		out.NodeChecks = []string{healthCheck}
	}
	return out
}

// sessionOrder is the body of a request for a session. Whether lists of checks are there
// matters: without one the node's health is checked.
type sessionOrder struct {
	Name, Node, TTL, Behavior string
	LockDelay                 json.RawMessage // "15s", or a number of ns, or, if it is small, of s
	Checks, NodeChecks        *[]string
}

func (a *Agent) parseSession(body []byte) (s kv.Session, err error) {
	var o sessionOrder
	if len(body) > 0 {
		if err := json.Unmarshal(body, &o); err != nil {
			return s, nodes.Errorf(history.BadRequest, "Request decode failed: %v", err)
		}
	}
	s = kv.Session{ID: a.newUUID(), Name: o.Name, Node: o.Node, Checked: o.Checks == nil && o.NodeChecks == nil}
	if s.Node == "" {
		s.Node = a.Name
	}
	for _, list := range []*[]string{o.Checks, o.NodeChecks} {
		if list == nil {
			continue
		}
		for _, check := range *list {
			if check != healthCheck {
				return s, nodes.Errorf(history.BadRequest, "Missing check %q registration", check)
			}
			s.Checked = true
		}
	}
	switch o.Behavior {
	case "", "release":
	case "delete":
		s.Delete = true
	default:
		return s, nodes.Errorf(history.BadRequest, "Invalid Behavior setting %q", o.Behavior)
	}
	if o.TTL != "" {
		s.TTL, err = time.ParseDuration(o.TTL)
		if err != nil || s.TTL != 0 && (s.TTL < a.SessionTTLMin || s.TTL > maxTTL) {
			return s, nodes.Errorf(history.BadRequest, "Invalid Session TTL %q, must be between [%v=%v]", o.TTL, a.SessionTTLMin, maxTTL)
		}
	}
	s.LockDelay, err = parseLockDelay(o.LockDelay)
	return s, err
}

func parseLockDelay(raw json.RawMessage) (time.Duration, error) {
	delay := defaultLockDelay
	var text string
	var number float64
	var err error
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		delay, err = time.ParseDuration(text)
	case json.Unmarshal(raw, &number) == nil && number < 1000: // Consul's lockDelayMinThreshold
		delay = time.Duration(number * float64(time.Second))
	case json.Unmarshal(raw, &number) == nil:
		delay = time.Duration(number)
	default:
		err = fmt.Errorf("%s is no duration", raw)
	}
	if err != nil || delay < 0 {
		return 0, nodes.Errorf(history.BadRequest, "Invalid LockDelay %s: %v", raw, err)
	}
	return min(delay, maxLockDelay), nil
}

func (a *Agent) sessionCreate(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValue))
	var s kv.Session
	if err == nil {
		s, err = a.parseSession(body)
	}
	if err == nil && s.Checked {
		err = a.checkNode(r, s.Node)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	c, err := kv.SessionCommand(s)
	if err == nil {
		_, err = a.sessionWrite(w, r, c)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, r, map[string]string{"ID": s.ID})
}

// checkNode is an error unless the datacenter that is meant has a node of the name.
func (a *Agent) checkNode(r *http.Request, name string) error {
	all, err := a.nodesOf(r)
	if err == nil && !slices.ContainsFunc(all, func(n nodeInfo) bool { return n.Node == name }) {
		err = nodes.Errorf(history.BadRequest, "Missing node registration of %q", name)
	}
	return err
}

func (a *Agent) sessionDestroy(w http.ResponseWriter, r *http.Request) {
	_, err := a.sessionWrite(w, r, kv.Command{Op: kv.SessionDestroy, Key: r.PathValue("id")})
	if err != nil {
		writeError(w, err)
		return
	}
	writeJSON(w, r, true)
}

func (a *Agent) sessionWrite(w http.ResponseWriter, r *http.Request, c kv.Command) (writeReply, error) {
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, hops, err := invoke(ctx, a, writeMethod, writeArgs{Command: c.Append(nil)}, meant(dcOf(r)))
	setHops(w, r, hops)
	return reply, err
}

func (a *Agent) sessionRenewed(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, hops, err := invoke(ctx, a, renewMethod, sessionArgs{ID: id}, meant(dcOf(r)))
	setHops(w, r, hops)
	switch {
	case err != nil:
		writeError(w, err)
	case len(reply.Sessions) == 0:
		writeError(w, nodes.Errorf(history.NoSession, "Session id %q not found", id))
	default:
		writeJSON(w, r, shownSessions(reply.Sessions))
	}
}

func shownSessions(all []kv.Session) []jsonSession {
	out := make([]jsonSession, 0, len(all))
	for _, s := range all {
		out = append(out, shownSession(s))
	}
	return out
}

// sessionList lists sessions: all, one by ID (info), or those of a node.
func (a *Agent) sessionList(w http.ResponseWriter, r *http.Request) {
	args := sessionArgs{ID: r.PathValue("id"), Mode: history.ModeDefault}
	switch {
	case has(r, "stale"):
		args.Mode = history.ModeStale
	case has(r, "consistent"):
		args.Mode = history.ModeConsistent
	}
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, hops, err := invoke(ctx, a, sessionsMethod, args, meant(dcOf(r)))
	setHops(w, r, hops)
	if err != nil {
		writeError(w, err)
		return
	}
	if node := r.PathValue("node"); node != "" {
		reply.Sessions = slices.DeleteFunc(reply.Sessions, func(s kv.Session) bool { return s.Node != node })
	}
	w.Header().Set(nodes.HeaderIndex, strconv.FormatUint(max(reply.Index, 1), 10))
	writeJSON(w, r, shownSessions(reply.Sessions))
}
