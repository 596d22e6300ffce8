package declared

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"faultline/nodes"
	"faultline/topologies"
	"faultline/workloads/history"
)

// check looks at all that the file says by itself, and makes of it what is used later. It reports all mistakes, a
// line each.
func (s *System) check(at lines) error {
	c := &checking{lines: at, system: s}
	c.identity()
	c.startup()
	c.clients()
	if len(c.mistakes) == 0 {
		c.try()
	}
	slices.SortStableFunc(c.mistakes, func(a, b *mistake) int { return a.line - b.line })
	var all []error
	for _, m := range c.mistakes {
		all = append(all, m)
	}
	return errors.Join(all...)
}

// checking is a check that goes on.
type checking struct {
	lines
	system   *System
	mistakes []*mistake
}

func (c *checking) wrong(path []string, format string, args ...any) {
	c.mistakes = append(c.mistakes, c.mistake(path, format, args...))
}

func (c *checking) compiled(path []string, source string) text {
	t, wrong := c.compile(path, source, c.system.paths)
	if wrong != nil {
		c.mistakes = append(c.mistakes, wrong)
	}
	return t
}

var (
	systemName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,30}$`)
	modeName     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)
	settingName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	headerName   = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	methodName   = regexp.MustCompile(`^[A-Z]+$`)
)

func (c *checking) identity() {
	f := c.system.file
	if !systemName.MatchString(f.Name) {
		c.wrong([]string{"name"}, "%q: want at most 31 lower-case letters, digits and dashes", f.Name)
	}
	if f.Program == "" {
		c.wrong([]string{"program"}, "is missing: name the file of this machine that a node executes")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Settings)) {
		if !settingName.MatchString(name) {
			c.wrong([]string{"settings", name}, "want letters, digits and _, so that templates can say .Settings.NAME")
		}
	}
	if f.Port < 1 || f.Port > 65535 {
		c.wrong([]string{"port"}, "%d: want the TCP port on which a node answers clients, 1 to 65535", f.Port)
	}
	paths, err := resolve(f.Files)
	if err != nil {
		c.wrong([]string{"files"}, "%v", err)
	}
	c.system.paths = paths
}

func (c *checking) startup() {
	f := c.system.file
	t := launchTexts{env: map[string]text{}, config: map[string]text{}}
	for i, source := range f.Args {
		t.args = append(t.args, c.compiled([]string{"args", strconv.Itoa(i)}, source))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Env)) {
		if !variableName.MatchString(name) {
			c.wrong([]string{"env", name}, "is no name of a variable: want letters, digits and _")
		}
		t.env[name] = c.compiled([]string{"env", name}, f.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(f.Config)) {
		if !path.IsAbs(name) || path.Clean(name) != name || name == "/" {
			c.wrong([]string{"config", name}, "want an absolute path in the pod, such as /etc/%s.conf", orDefault(f.Name, "node"))
		}
		t.config[name] = c.compiled([]string{"config", name}, f.Config[name])
	}
	c.system.launch = t
}

func (c *checking) clients() {
	f := c.system.file
	var err error
	if c.system.api, err = apiOf(f.API); err != nil {
		c.wrong([]string{"api"}, "%q: want one of %s", f.API, strings.Join(APIs(), ", "))
		return
	}
	web := c.system.api.web
	switch {
	case f.Ready == "" || f.Ready == readyTCP:
	case !web:
		c.wrong([]string{"ready"}, "%q: with api %s it is tcp, or left out for a read that is answered", f.Ready, f.API)
	default:
		c.requestPath([]string{"ready"}, f.Ready)
	}
	if f.Leader != nil && !web {
		c.wrong([]string{"leader"}, "is asked over HTTP, and the nodes speak %s: leave it out", f.API)
	}
	c.leader()
	if f.Redis != nil && f.API != "redis" {
		c.wrong([]string{"redis"}, "is for api redis, and this is api %s: leave it out", f.API)
	}
	if f.API != "http" {
		if f.HTTP != nil {
			c.wrong([]string{"http"}, "is for api http, and this is api %s: leave it out", f.API)
		}
	} else if f.HTTP == nil {
		c.wrong([]string{"api"}, "http needs the requests: add http with read and write")
		return
	} else {
		c.requests()
	}
	c.system.facts = nodes.Facts{Port: f.Port}
	c.system.api.facts(f, &c.system.facts)
	if f.Leader != nil && f.Leader.Says != SaysRole {
		c.system.facts.Abilities = append(c.system.facts.Abilities, history.ObservesLeaders)
	}
}

// requestPath refuses what is no path of a request.
func (c *checking) requestPath(path []string, value string) bool {
	if _, err := url.ParseRequestURI(value); err != nil || !strings.HasPrefix(value, "/") {
		c.wrong(path, "%q is no path of a request, such as /status", value)
		return false
	}
	return true
}

func (c *checking) leader() {
	l := c.system.file.Leader
	if l == nil {
		return
	}
	c.requestPath([]string{"leader", "path"}, l.Path)
	c.pointer([]string{"leader", "json"}, l.JSON)
	reader := &leaderReader{Leader: *l}
	if l.Matches != "" {
		reader.matches = c.expression([]string{"leader", "matches"}, l.Matches)
		if reader.matches != nil && reader.matches.NumSubexp() != 1 {
			c.wrong([]string{"leader", "matches"}, "has %d groups: want one, such as leader=(\\S+)", reader.matches.NumSubexp())
		}
	}
	if l.Says != "" && !slices.Contains(AllSays(), l.Says) {
		c.wrong([]string{"leader", "says"}, "%q: want name, address or role", l.Says)
	}
	if l.Leads != "" && l.Says != SaysRole {
		c.wrong([]string{"leader", "leads"}, "is for says: role")
	}
	c.system.leader = reader
}

func (c *checking) pointer(path []string, pointer string) {
	if pointer != "" && !strings.HasPrefix(pointer, "/") {
		c.wrong(path, "%q is no JSON pointer: it begins with a slash, such as /%s", pointer, pointer)
	}
}

func (c *checking) expression(path []string, source string) *regexp.Regexp {
	e, err := regexp.Compile(source)
	if err != nil {
		c.wrong(path, "%v", err)
	}
	return e
}

// requests makes all of api http.
func (c *checking) requests() {
	h := c.system.file.HTTP
	c.system.requests = map[requestKind]*request{}
	c.operation([]string{"http", "read"}, requestKind{history.OpRead, history.ModeDefault}, h.Read)
	good := len(c.mistakes) == 0 // what is wrong in read would be told again for each mode
	for _, name := range slices.Sorted(maps.Keys(h.Modes)) {
		at := []string{"http", "modes", name}
		if !modeName.MatchString(name) || history.Mode(name) == history.ModeDefault {
			c.wrong(at, "want a word in lower case that is not default, which is read")
		}
		if good {
			c.operation(at, requestKind{history.OpRead, history.Mode(name)}, inherit(h.Modes[name], h.Read))
		}
	}
	if h.Write != nil {
		c.operation([]string{"http", "write"}, requestKind{op: history.OpWrite}, *h.Write)
	}
	if h.CAS != nil {
		c.operation([]string{"http", "cas"}, requestKind{op: history.OpCAS}, *h.CAS)
	}
}

// inherit fills in what a mode leaves out.
func inherit(mode, read Operation) Operation {
	mode.Method, mode.Path, mode.Body = orDefault(mode.Method, read.Method), orDefault(mode.Path, read.Path), orDefault(mode.Body, read.Body)
	if mode.Headers == nil {
		mode.Headers = read.Headers
	}
	if mode.Answers == nil {
		mode.Answers = read.Answers
	}
	if mode.Value == nil {
		mode.Value = read.Value
	}
	if mode.Index == nil {
		mode.Index = read.Index
	}
	return mode
}

// What net/http may send twice (Request.isReplayable): requests of these methods without a body, and those
// with one of these headers.
var (
	repeated   = []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace}
	repeatable = []string{"Idempotency-Key", "X-Idempotency-Key"}
)

func (c *checking) operation(at []string, kind requestKind, o Operation) {
	method := http.MethodPut
	if kind.op == history.OpRead {
		method = http.MethodGet
	}
	r := &request{method: orDefault(o.Method, method), headers: map[string]text{}}
	if !methodName.MatchString(r.method) {
		c.wrong(below(at, "method"), "%q: want a method of HTTP, such as POST", o.Method)
	}
	if kind.op != history.OpRead && slices.Contains(repeated, r.method) {
		c.wrong(below(at, "method"), "%s: HTTP may send it twice by itself, if a connection breaks: want a method such as PUT or POST", r.method)
	}
	if o.Path == "" {
		c.wrong(below(at, "path"), "is missing: want a template such as /kv/{{.Key}}")
	}
	r.path, r.body = c.compiled(below(at, "path"), o.Path), c.compiled(below(at, "body"), o.Body)
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if !headerName.MatchString(name) {
			c.wrong(below(at, "headers", name), "is no name of a header")
		}
		if slices.Contains(repeatable, http.CanonicalHeaderKey(name)) {
			c.wrong(below(at, "headers", name), "has HTTP send a request twice by itself, if a connection breaks: leave it out")
		}
		r.headers[name] = c.compiled(below(at, "headers", name), o.Headers[name])
	}
	c.rows(at, kind.op, o, r)
	if kind.op != history.OpRead && o.Value != nil {
		c.wrong(below(at, "value"), "is for reads: leave it out")
	}
	if o.Value != nil {
		r.answers.value = *o.Value
		c.part(below(at, "value"), *o.Value)
	}
	if r.answers.index = o.Index; o.Index != nil {
		c.part(below(at, "index"), *o.Index)
		if c.system.file.HTTP.Read.Index == nil {
			c.wrong(below(at, "index"), "is of no use without an index of read: add one there, or leave it out here")
		}
		if *o.Index == (Part{}) {
			c.wrong(below(at, "index"), "want header or json: where it stands in the answer")
		}
	}
	c.system.requests[kind] = r
}

// below is the path of a field of what is at a path.
func below(path []string, names ...string) []string { return append(slices.Clone(path), names...) }

func (c *checking) rows(at []string, op history.Op, o Operation, r *request) {
	means := kinds[string(op)]
	good := false
	for i, written := range o.Answers {
		here := below(at, "answers", strconv.Itoa(i))
		if written.Status < 200 || written.Status > 599 {
			c.wrong(below(here, "status"), "%d: want a status that ends a request, 200 to 599", written.Status)
		}
		if !slices.Contains(means, written.Is) {
			c.wrong(below(here, "is"), "%q: want what an answer to %s can mean: %s", written.Is, op, orNone(words(means)))
		}
		ready := row{Row: written}
		if written.Body != "" {
			ready.body = c.expression(below(here, "body"), written.Body)
		}
		good = good || written.Is == OK
		r.answers.rows = append(r.answers.rows, ready)
	}
	if !good {
		c.wrong(below(at, "answers"), "no row is ok: add what a %s that was done is answered with, such as {status: 200, is: ok}", op)
	}
}

func words(kinds []Kind) (all []string) {
	for _, k := range kinds {
		all = append(all, string(k))
	}
	return all
}

func (c *checking) part(at []string, p Part) {
	c.pointer(below(at, "json"), p.JSON)
	if p.Header != "" && !headerName.MatchString(p.Header) {
		c.wrong(below(at, "header"), "%q is no name of a header", p.Header)
	}
	if p.Header != "" && p.JSON != "" {
		c.wrong(at, "header and json exclude each other")
	}
}

// try plays the templates on a cluster that is not there.
func (c *checking) try() {
	for _, kind := range []nodes.StartKind{nodes.Founder, nodes.Again, nodes.Fresh, nodes.Joiner} {
		for _, start := range trialStarts(kind) {
			launch, err := c.system.launch.render(launching(start, c.system.file.Port, c.system.settings))
			if err != nil {
				c.untrue(nil, err)
				return
			}
			if err := launch.Check(); err != nil {
				c.wrong([]string{"args"}, "%v", err)
				return
			}
			for _, name := range slices.Sorted(maps.Keys(launch.Files)) {
				if strings.HasPrefix(name+"/", start.Self.Dir+"/") {
					c.wrong([]string{"config", name}, "is in the data directory, which is the node's own: take a path outside of %s", start.Self.Dir)
					return
				}
			}
		}
	}
	for _, kind := range slices.SortedFunc(maps.Keys(c.system.requests), func(a, b requestKind) int {
		return strings.Compare(string(a.op+history.Op(a.mode)), string(b.op+history.Op(b.mode)))
	}) {
		c.tryRequest(kind, c.system.requests[kind])
	}
}

// untrue records what a trial found of the fields below a path.
func (c *checking) untrue(at []string, err error) {
	if field := (*fieldError)(nil); errors.As(err, &field) {
		c.mistakes = append(c.mistakes, c.templateMistake(below(at, field.path...), field.err))
		return
	}
	c.wrong(at, "%v", err)
}

// trialStarts is a start of every node of a small cluster.
func trialStarts(kind nodes.StartKind) (starts []nodes.Start) {
	var all []nodes.NodeInfo
	for i, name := range []string{"dc1-s1", "dc1-s2", "dc1-s3", "dc1-x1"} {
		role := topologies.Server
		if name == "dc1-x1" {
			role = topologies.Spare
		}
		all = append(all, nodes.NodeInfo{Node: topologies.Node{Name: name, DC: "dc1", Role: role},
			Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Dir: "/data"})
	}
	for _, n := range all {
		starts = append(starts, nodes.Start{Kind: kind, Self: n, All: all})
	}
	return starts
}

// tryRequest renders a request, and demands that what it must depend on makes a difference.
func (c *checking) tryRequest(kind requestKind, r *request) {
	at := []string{"http", string(kind.op)}
	if kind.op == history.OpRead && kind.mode != history.ModeDefault {
		at = []string{"http", "modes", string(kind.mode)}
	}
	op := nodes.Op{F: kind.op, Key: "k1", Value: "2", Index: 7, Old: "1", Mode: kind.mode}
	rendered := func(change func(*nodes.Op)) (string, bool) {
		op := op
		change(&op)
		ready, err := r.render(asking(op, c.system.settings))
		if err != nil {
			c.untrue(at, err)
			return "", false
		}
		return fmt.Sprint(ready.URL, ready.Header, ready.Body), true
	}
	plain, ok := rendered(func(*nodes.Op) {})
	if !ok {
		return
	}
	if kind.op == history.OpCAS {
		if _, ok := rendered(func(op *nodes.Op) { op.Old, op.Index = "", 0 }); !ok {
			return
		}
	}
	depends := func(change func(*nodes.Op)) bool {
		changed, ok := rendered(change)
		return ok && changed != plain
	}
	if !depends(func(op *nodes.Op) { op.Key = "k2" }) {
		c.wrong(at, "asks the same for every key: use {{.Key}}")
	}
	if kind.op != history.OpRead && !depends(func(op *nodes.Op) { op.Value = "3" }) {
		c.wrong(at, "sends the same for every value: use {{.Value}}")
	}
	if kind.op != history.OpCAS {
		return
	}
	byIndex := depends(func(op *nodes.Op) { op.Index = 8 })
	byValue := depends(func(op *nodes.Op) { op.Old = "4" })
	switch {
	case !byIndex && !byValue:
		c.wrong(at, "compares nothing: use {{.Old}}, or {{.Index}} with an index of read")
	case byIndex && c.system.file.HTTP.Read.Index == nil:
		c.wrong(at, "uses {{.Index}}, and read does not say where the index stands: add index there, or compare {{.Old}}")
	case !depends(func(op *nodes.Op) { op.Old, op.Index = "", 0 }):
		c.wrong(at, "asks the same where the key must be absent: use {{.Absent}}")
	}
}
