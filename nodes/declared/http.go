package declared

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// requestKind is an operation, for reads with their mode.
type requestKind struct {
	op   history.Op
	mode history.Mode
}

func kindOf(op nodes.Op) requestKind {
	k := requestKind{op: op.F}
	if op.F == history.OpRead {
		k.mode = op.Mode
	}
	return k
}

// request is an Operation that is ready to be used.
type request struct {
	method  string
	path    text
	headers map[string]text
	body    text
	answers answers
}

// httpFacts are what the file describes.
func httpFacts(f File, into *nodes.Facts) {
	into.Ops = []history.Op{history.OpRead}
	into.Modes = []nodes.Mode{{Name: history.ModeDefault, Doc: orDefault(f.HTTP.Read.Doc, "as the file's read")}}
	for _, name := range slices.Sorted(maps.Keys(f.HTTP.Modes)) {
		into.Modes = append(into.Modes, nodes.Mode{Name: history.Mode(name), Doc: orDefault(f.HTTP.Modes[name].Doc, "as the file's mode")})
	}
	if f.HTTP.Write != nil {
		into.Ops = append(into.Ops, history.OpWrite)
	}
	if f.HTTP.CAS != nil {
		into.Ops = append(into.Ops, history.OpCAS)
	}
	if f.HTTP.Read.Index != nil {
		into.Abilities = append(into.Abilities, history.ReportsIndexes)
	}
}

func openHTTP(s *System, at nodes.Endpoint) operations { return &httpConn{s, web.New(at)} }

// httpConn performs the operations of the file over HTTP.
type httpConn struct {
	system *System
	web    *web.Client
}

func (c *httpConn) Close() { c.web.Close() }

func (c *httpConn) Do(ctx context.Context, op nodes.Op) (nodes.Answer, error) {
	r := c.system.requests[kindOf(op)]
	if r == nil {
		return nodes.Answer{}, nodes.Errorf(history.BadRequest, "the system %s has no %s of mode %q", c.system.file.Name, op.F, op.Mode)
	}
	if op.F == history.OpCAS && op.Old != "" && op.Index == 0 && c.system.facts.Can(history.ReportsIndexes) {
		return nodes.Answer{}, nodes.Errorf(history.BadRequest, "a compare with a key whose modify index is not known")
	}
	ready, err := r.render(asking(op, c.system.settings))
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.BadRequest, "%v", err)
	}
	a, err := c.web.Do(ctx, ready)
	if err != nil {
		return nodes.Answer{}, err
	}
	return r.answers.read(op, a)
}

// asking is what an operation gives to templates.
func asking(op nodes.Op, settings map[string]any) Asking {
	return Asking{Key: op.Key, Value: op.Value, Old: op.Old, Absent: op.F == history.OpCAS && op.Old == "" && op.Index == 0,
		Index: op.Index, Mode: string(op.Mode), Settings: settings}
}

// render is the request of an operation.
func (r *request) render(data Asking) (web.Request, error) {
	path, err := r.path.render(data)
	if err != nil {
		return web.Request{}, &fieldError{[]string{"path"}, err}
	}
	if !strings.HasPrefix(path, "/") {
		return web.Request{}, &fieldError{[]string{"path"}, fmt.Errorf("%q does not begin with a slash", path)}
	}
	out := web.Request{Method: r.method}
	if out.URL, err = url.ParseRequestURI(path); err != nil {
		return web.Request{}, &fieldError{[]string{"path"}, err}
	}
	for _, name := range slices.Sorted(maps.Keys(r.headers)) {
		value, err := r.headers[name].render(data)
		if err != nil {
			return web.Request{}, &fieldError{[]string{"headers", name}, err}
		}
		if out.Header == nil {
			out.Header = http.Header{}
		}
		out.Header.Set(name, value)
	}
	if out.Body, err = r.body.render(data); err != nil {
		return web.Request{}, &fieldError{[]string{"body"}, err}
	}
	return out, nil
}
