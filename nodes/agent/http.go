package agent

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"faultline/nodes"
	"faultline/workloads/history"
)

// requestTimeout bounds a request beyond the time for which it asked to wait itself.
const requestTimeout = 15 * time.Second

// api is Consul's HTTP API, as far as the agent goes.
func (a *Agent) api() http.Handler {
	keys := map[string]http.HandlerFunc{http.MethodGet: a.kvGet, http.MethodPut: a.kvPut, http.MethodDelete: a.kvDelete}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status/leader", a.statusLeader)
	mux.HandleFunc("GET /v1/status/peers", a.statusPeers)
	mux.HandleFunc("GET /v1/agent/members", a.agentMembers)
	mux.HandleFunc("GET /v1/agent/self", a.agentSelf)
	mux.HandleFunc("PUT /v1/agent/leave", a.agentLeave)
	mux.HandleFunc("GET /v1/operator/raft/configuration", a.raftConfiguration)
	mux.HandleFunc("DELETE /v1/operator/raft/peer", a.removePeer)
	mux.HandleFunc("PUT /v1/operator/raft/transfer-leader", a.transferLeader)
	mux.HandleFunc("POST /v1/operator/raft/transfer-leader", a.transferLeader)
	mux.HandleFunc("GET /v1/catalog/datacenters", a.catalogDatacenters)
	mux.HandleFunc("GET /v1/catalog/nodes", a.catalogNodes)
	mux.HandleFunc("GET /v1/coordinate/datacenters", a.coordinateDatacenters)
	mux.HandleFunc("PUT /v1/session/create", a.sessionCreate)
	mux.HandleFunc("PUT /v1/session/destroy/{id}", a.sessionDestroy)
	mux.HandleFunc("PUT /v1/session/renew/{id}", a.sessionRenewed)
	mux.HandleFunc("GET /v1/session/info/{id}", a.sessionList)
	mux.HandleFunc("GET /v1/session/list", a.sessionList)
	mux.HandleFunc("GET /v1/session/node/{node}", a.sessionList)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, nodes.Errorf(history.NotFound, "no endpoint %s %s", r.Method, r.URL.Path))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.leaving.Load() {
			writeError(w, nodes.Errorf(history.NotReady, "the agent is leaving"))
			return
		}
		// Keys do not go through the mux: it takes them for paths, and makes a/b of a//b.
		key, ok := strings.CutPrefix(r.URL.Path, "/v1/kv/")
		if serve := keys[r.Method]; ok && serve != nil {
			r.SetPathValue("key", key)
			serve(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var statusOf = map[history.Code]int{
	history.BadRequest: http.StatusBadRequest,
	history.NotFound:   http.StatusNotFound,
	history.NoSession:  http.StatusNotFound,
	history.NotReady:   http.StatusServiceUnavailable,
	history.NoServer:   http.StatusServiceUnavailable,
	history.DCFailed:   http.StatusServiceUnavailable,
	history.Shutdown:   http.StatusServiceUnavailable,
}

func writeError(w http.ResponseWriter, err error) {
	code := nodes.CodeOf(err)
	status, ok := statusOf[code]
	if !ok {
		status = http.StatusInternalServerError
	}
	w.Header().Set(nodes.HeaderError, string(code))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(textOf(err))) // the client is gone if this fails
}

// writeJSON answers with v; ?pretty indents it.
func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	var data []byte
	var err error
	if has(r, "pretty") {
		data, err = json.MarshalIndent(v, "", "    ")
	} else {
		data, err = json.Marshal(v)
	}
	if err != nil {
		writeError(w, nodes.Errorf(history.Unknown, "%v", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

func has(r *http.Request, name string) bool { return r.URL.Query().Has(name) }

// uintParam reads a number; absent is 0 and found false.
func uintParam(r *http.Request, name string) (v uint64, found bool, err error) {
	if !has(r, name) {
		return 0, false, nil
	}
	v, err = strconv.ParseUint(r.URL.Query().Get(name), 10, 64)
	if err != nil {
		return 0, true, nodes.Errorf(history.BadRequest, "Invalid %s: %v", name, err)
	}
	return v, true, nil
}

// requestContext is the request's context with a deadline: wait and requestTimeout.
func requestContext(r *http.Request, wait time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), wait+requestTimeout)
}

// setHops sets the header that lists the hops of the answer, if the request asked for it.
func setHops(w http.ResponseWriter, r *http.Request, hops []history.Hop) {
	if r.Header.Get(nodes.HeaderWantHops) == "" {
		return
	}
	text, err := json.Marshal(hops)
	if err != nil {
		return // hops are strings and finite numbers; they encode
	}
	w.Header().Set(nodes.HeaderHops, string(text))
}

// dcOf is the datacenter whose data a request means; empty: this one.
func dcOf(r *http.Request) string { return r.URL.Query().Get("dc") }
