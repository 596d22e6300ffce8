package agent

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/kv"
	"faultline/workloads/history"
)

const (
	maxValue    = 512 << 10 // as Consul's
	maxWait     = 10 * time.Minute
	defaultWait = 5 * time.Minute
)

// jsonEntry is an entry as Consul shows it.
type jsonEntry struct {
	LockIndex   uint64
	Key         string
	Flags       uint64
	Value       []byte // null if empty
	CreateIndex uint64
	ModifyIndex uint64
	Session     string `json:",omitempty"`
}

// locking makes a write one that acquires or releases.
func locking(c kv.Command, op kv.Op, session string, cas bool) (kv.Command, error) {
	switch {
	case c.Op != kv.Put || cas:
		return c, nodes.Errorf(history.BadRequest, "Conflicting flags: only one of ?cas, ?acquire and ?release, and only of a write")
	case session == "":
		return c, nodes.Errorf(history.BadRequest, "a lock needs a session")
	}
	c.Op, c.Session = op, session
	return c, nil
}

func (a *Agent) kvGet(w http.ResponseWriter, r *http.Request) {
	args, wait, err := a.readRequest(r)
	if err != nil {
		writeError(w, err)
		return
	}
	if a.defects[ListFromFollower] && args.Query.Kind != kv.Get && args.Mode == history.ModeDefault {
		args.Mode = history.ModeStale
	}
	ctx, cancel := requestContext(r, wait)
	defer cancel()
	reply, hops, err := invoke(ctx, a, readMethod, args, meant(dcOf(r)))
	setHops(w, r, hops)
	if err != nil {
		writeError(w, err)
		return
	}
	h := w.Header()
	h.Set(nodes.HeaderIndex, strconv.FormatUint(reply.Index, 10))
	h.Set(nodes.HeaderKnownLeader, strconv.FormatBool(reply.KnownLeader))
	h.Set(nodes.HeaderLastContact, strconv.FormatInt(reply.LastContactMS, 10))
	h.Set("X-Consul-Effective-Consistency", string(args.Mode))
	writeRead(w, r, args.Query.Kind, reply)
}

func writeRead(w http.ResponseWriter, r *http.Request, kind kv.Kind, reply readReply) {
	switch {
	case len(reply.Entries) == 0 && len(reply.Names) == 0:
		w.WriteHeader(http.StatusNotFound)
	case kind == kv.Keys:
		writeJSON(w, r, reply.Names)
	case kind == kv.Get && has(r, "raw"):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "sandbox")
		_, _ = w.Write(reply.Entries[0].Value)
	default:
		out := make([]jsonEntry, len(reply.Entries))
		for i, e := range reply.Entries {
			out[i] = jsonEntry{LockIndex: e.LockIndex, Key: e.Key, Flags: e.Flags, CreateIndex: e.CreateIndex, ModifyIndex: e.ModifyIndex, Session: e.Session}
			if len(e.Value) > 0 {
				out[i].Value = e.Value
			}
		}
		writeJSON(w, r, out)
	}
}

func (a *Agent) readRequest(r *http.Request) (args readArgs, wait time.Duration, err error) {
	key := r.PathValue("key")
	args = readArgs{Query: kv.Query{Kind: kv.Get, Key: key}, Mode: history.ModeDefault}
	switch {
	case has(r, "keys"):
		args.Query.Kind, args.Query.Separator = kv.Keys, r.URL.Query().Get("separator")
	case has(r, "recurse"):
		args.Query.Kind = kv.List
	case key == "":
		return args, 0, nodes.Errorf(history.BadRequest, "Missing key name")
	}
	switch stale, consistent := has(r, "stale"), has(r, "consistent"); {
	case stale && consistent:
		return args, 0, nodes.Errorf(history.BadRequest, "Cannot specify ?stale with ?consistent, conflicting semantics.")
	case stale:
		args.Mode = history.ModeStale
	case consistent:
		args.Mode = history.ModeConsistent
	}
	if args.MinIndex, _, err = uintParam(r, "index"); err != nil || args.MinIndex == 0 {
		return args, 0, err
	}
	if wait, err = a.waitParam(r); err != nil {
		return args, 0, err
	}
	args.WaitMS = wait.Milliseconds()
	return args, wait, nil
}

// waitParam reads ?wait and adds up to a sixteenth at random, as Consul does, so that
// clients that began to wait together do not all come back together.
func (a *Agent) waitParam(r *http.Request) (time.Duration, error) {
	wait := defaultWait
	if text := r.URL.Query().Get("wait"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return 0, nodes.Errorf(history.BadRequest, "Invalid wait time")
		}
	}
	if wait = min(wait, maxWait); wait == 0 {
		wait = defaultWait
	}
	return wait + a.upTo(wait/16+1), nil
}

func (a *Agent) kvPut(w http.ResponseWriter, r *http.Request) {
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValue))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			err = nodes.Errorf(history.BadRequest, "Request body too large, max size: %d bytes.", maxValue)
		} else {
			err = nodes.Errorf(history.BadRequest, "read the value: %v", err)
		}
		writeError(w, err)
		return
	}
	flags, _, err := uintParam(r, "flags")
	if err != nil {
		writeError(w, err)
		return
	}
	a.kvWrite(w, r, kv.Command{Op: kv.Put, Value: value, Flags: flags}, kv.CAS)
}

func (a *Agent) kvDelete(w http.ResponseWriter, r *http.Request) {
	op := kv.Delete
	if has(r, "recurse") {
		op = kv.DeleteTree
	}
	a.kvWrite(w, r, kv.Command{Op: op}, kv.DeleteCAS)
}

// kvWrite sends a command for the key in the request's path; with ?cas it becomes
// conditional. With ?append, an extension, the body becomes one more element of the list that the key holds.
func (a *Agent) kvWrite(w http.ResponseWriter, r *http.Request, c kv.Command, conditional kv.Op) {
	var err error
	c.Key = r.PathValue("key")
	if c.Key == "" && c.Op != kv.DeleteTree {
		err = nodes.Errorf(history.BadRequest, "Missing key name")
	}
	index, cas, casErr := uintParam(r, "cas")
	if err == nil && casErr != nil {
		err = casErr
	}
	for lock, op := range map[string]kv.Op{"acquire": kv.Acquire, "release": kv.Release} {
		if err == nil && has(r, lock) {
			c, err = locking(c, op, r.URL.Query().Get(lock), cas)
		}
	}
	if err == nil && has(r, "append") {
		if c.Op != kv.Put || cas {
			err = nodes.Errorf(history.BadRequest, "Conflicting flags: only one of ?append, ?cas, ?acquire and ?release, and only of a write")
		}
		c.Op = kv.Append
	}
	if cas {
		if c.Op == kv.DeleteTree {
			err = nodes.Errorf(history.BadRequest, "Conflicting flags: ?recurse and ?cas")
		}
		c.Op, c.Index = conditional, index
	}
	if err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := requestContext(r, 0)
	defer cancel()
	reply, hops, err := invoke(ctx, a, writeMethod, writeArgs{Command: c.Append(nil)}, meant(dcOf(r)))
	setHops(w, r, hops)
	if err != nil {
		writeError(w, err)
		return
	}
	if reply.Index > 0 {
		w.Header().Set(nodes.HeaderIndex, strconv.FormatUint(reply.Index, 10))
	}
	if !reply.OK {
		w.Header().Set(nodes.HeaderCurrentIndex, strconv.FormatUint(reply.Current.ModifyIndex, 10))
		w.Header().Set(nodes.HeaderCurrentValue, base64.StdEncoding.EncodeToString(reply.Current.Value))
	}
	writeJSON(w, r, reply.OK)
}
