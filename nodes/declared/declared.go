// Package declared makes a system under test of a file: any program that answers clients on a
// TCP port can be tested without a line of Go.
//
//	name: kv
//	program: ./kv
//	args: ["--dir={{.Self.Dir}}", "--listen=0.0.0.0:{{.Port}}", "--peers={{range .Others}}{{.Addr}} {{end}}"]
//	port: 8080
//	api: http
//	http:
//	  read:
//	    path: /kv/{{.Key}}
//	    answers: [{status: 200, is: ok}, {status: 404, is: absent}]
//	  write:
//	    path: /kv/{{.Key}}
//	    body: "{{.Value}}"
//	    answers: [{status: 200, is: ok}]
//
//	system, err := declared.Load("kv.yaml", nil)
//
// [File] has all that a file can say. All of it is checked as it is read: every template is tried on
// a cluster of three, so that a mistake is found, with its line, before anything starts.
//
// An operation is a definite failure only if nothing was sent, or if a row of the file calls the answer
// so. Everything that the file does not name is indefinite: that costs strength of a verdict, while
// a false "fail" would accuse a system that is right.
//
// It is not for systems that a scenario's settings must start in very different ways, or whose members
// must be announced: those are Go (nodes.System).
package declared

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/topologies/strict"
	"faultline/workloads/history"
)

// System is the system of a file.
type System struct {
	file     File
	settings map[string]any
	facts    nodes.Facts
	api      api
	requests map[requestKind]*request // of api http
	launch   launchTexts
	leader   *leaderReader
	paths    []string // of files, with patterns resolved

	mu     sync.Mutex
	places []nodes.NodeInfo // of the cluster, once it has started
}

// launchTexts are the templates of a start.
type launchTexts struct {
	args   []text
	env    map[string]text
	config map[string]text
}

// Load reads a file, and checks all that it says. settings are those of a scenario.
func Load(path string, settings map[string]any) (*System, error) {
	data, err := strict.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("system: %w", err)
	}
	return New(path, data, settings)
}

// New is Load of a file that was read.
func New(path string, data []byte, settings map[string]any) (*System, error) {
	file, at, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	s := &System{file: file, settings: maps.Clone(file.Settings)}
	if s.settings == nil {
		s.settings = map[string]any{}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if _, known := file.Settings[name]; !known {
			return nil, fmt.Errorf("settings: the system %s has no setting %q; %s has %s", file.Name, name, path, orNone(slices.Sorted(maps.Keys(file.Settings))))
		}
		s.settings[name] = settings[name]
	}
	if err := s.check(at); err != nil {
		return nil, err
	}
	return s, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Name implements nodes.System.
func (s *System) Name() string { return s.file.Name }

// Facts implements nodes.System.
func (s *System) Facts() nodes.Facts { return s.facts }

// File is what the file says, with absolute paths.
func (s *System) File() File { return s.file }

// Image implements nodes.System.
func (s *System) Image(context.Context) (nodes.Image, error) {
	paths, err := resolve(s.file.Files)
	return nodes.Image{Program: s.file.Program, Files: paths}, err
}

// resolve replaces patterns by what they match on this machine.
func resolve(files []string) (paths []string, err error) {
	for _, f := range files {
		found, err := filepath.Glob(f)
		if err != nil {
			return nil, fmt.Errorf("files: %s: %w", f, err)
		}
		if len(found) == 0 {
			found = []string{f} // to be missed by its name
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// Launch implements nodes.System.
func (s *System) Launch(_ context.Context, start nodes.Start) (nodes.Launch, error) {
	s.mu.Lock()
	s.places = start.All
	s.mu.Unlock()
	return s.launch.render(launching(start, s.file.Port, s.settings))
}

func (t launchTexts) render(data Launching) (l nodes.Launch, err error) {
	for i, a := range t.args {
		rendered, err := a.render(data)
		if err != nil {
			return l, &fieldError{[]string{"args", fmt.Sprint(i)}, err}
		}
		if !a.lines {
			l.Args = append(l.Args, rendered)
			continue
		}
		for line := range strings.Lines(rendered) {
			if line = strings.TrimSpace(line); line != "" {
				l.Args = append(l.Args, line)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.env)) {
		rendered, err := t.env[name].render(data)
		if err != nil {
			return l, &fieldError{[]string{"env", name}, err}
		}
		l.Env = append(l.Env, name+"="+rendered)
	}
	for _, name := range slices.Sorted(maps.Keys(t.config)) {
		rendered, err := t.config[name].render(data)
		if err != nil {
			return l, &fieldError{[]string{"config", name}, err}
		}
		if l.Files == nil {
			l.Files = map[string]string{}
		}
		l.Files[name] = rendered
	}
	return l, nil
}

// fieldError is an error of a template, with the path of its field.
type fieldError struct {
	path []string
	err  error
}

func (e *fieldError) Error() string { return strings.Join(e.path, ".") + ": " + e.err.Error() }

func (e *fieldError) Unwrap() error { return e.err }

// Open implements nodes.System.
func (s *System) Open(at nodes.Endpoint) nodes.Conn {
	return &conn{operations: s.api.open(s, at), system: s, at: at, web: web.New(at)}
}

// operations are the part of a nodes.Conn that depends on the API.
type operations interface {
	Do(ctx context.Context, op nodes.Op) (nodes.Answer, error)
	Close()
}

// conn is a client of a node.
type conn struct {
	operations
	system *System
	at     nodes.Endpoint
	web    *web.Client // for readiness and leaders
}

func (c *conn) Close() {
	c.operations.Close()
	c.web.Close()
}

// readyKey is read to see whether a node serves. No workload uses it.
const readyKey = "faultline-ready"

// readyTCP is what a file says for a node that is ready once it accepts connections.
const readyTCP = "tcp"

// Observe implements nodes.Conn.
func (c *conn) Observe(ctx context.Context) (o history.Observation, err error) {
	if err := c.ready(ctx); err != nil {
		return o, err
	}
	if c.system.leader == nil {
		return o, nil
	}
	return c.system.observeLeader(ctx, c.at.Node, c.web)
}

func (c *conn) ready(ctx context.Context) error {
	switch ready := c.system.file.Ready; ready {
	case "":
		_, err := c.Do(ctx, nodes.Op{F: history.OpRead, Key: readyKey, Mode: c.system.facts.Modes[0].Name})
		return err
	case readyTCP:
		accepted, err := c.at.Dial(ctx)
		if err != nil {
			return nodes.Errorf(history.Unreachable, "%v", err)
		}
		accepted.Close() // it carries nothing
		return nil
	default:
		a, err := ask(ctx, c.web, ready)
		if err == nil && a.Status/100 != 2 {
			err = nodes.Errorf(history.NotReady, "%s was answered with the status %d: %s", ready, a.Status, web.Excerpt(a.Body))
		}
		return err
	}
}

// api is a way to ask nodes.
type api struct {
	name string
	doc  string
	// facts fills in what a system of the file can be asked for.
	facts func(f File, into *nodes.Facts)
	open  func(s *System, at nodes.Endpoint) operations
	web   bool // nodes also answer other requests over HTTP, on the same port
}

// apis are what clients may speak, sorted by name. Another one is a line here.
var apis = []api{
	{"consul-kv", "Consul's HTTP API for keys", consulFacts, openConsul, true},
	{"etcd-kv", "etcd's API for keys, by its JSON gateway", etcdFacts, openEtcd, true},
	{"http", "requests and answers that the file describes", httpFacts, openHTTP, true},
	{"redis", "Redis's protocol: GET, SET, and EVAL for a compare of values", redisFacts, openRedis, false},
}

// APIs lists the names of what clients may speak.
func APIs() (names []string) {
	for _, a := range apis {
		names = append(names, a.name)
	}
	return names
}

var errNoAPI = errors.New("no such API")

func apiOf(name string) (api, error) {
	for _, a := range apis {
		if a.name == name {
			return a, nil
		}
	}
	return api{}, errNoAPI
}
