package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"faultline/cmd/internal/catalogue"
	"faultline/nodes"
	"faultline/nodes/declared"
	"faultline/topologies"
	"faultline/workloads/history"
)

const (
	systemReadyWithin = 30 * time.Second
	operationWithin   = 5 * time.Second
	logShown          = 600 // bytes of a node's log, in a finding
)

// systemNodes is the cluster on which a system is tried.
var systemNodes = topologies.Topology{Name: "system", Datacenters: []topologies.Datacenter{
	{Name: "dc1", Servers: topologies.Members{Count: 3}}}}

// ExamineSystem looks at the system that a file describes: what the file says, what it names, and, on three
// nodes of the first runtime that this machine offers, which are thrown away, whether they start and answer each
// operation as the file says they do.
func ExamineSystem(ctx context.Context, path string, runtimes ...nodes.Runtime) []Finding {
	f := Finding{What: "system"}
	system, err := declared.Load(path, nil)
	if err != nil {
		f.Err = err
		return []Finding{f}
	}
	facts := system.Facts()
	f.Good = fmt.Sprintf("%s, on port %d, can: %s", system.Name(), facts.Port, strings.Join(catalogue.Words(facts.Ops), ", "))
	findings := []Finding{f}
	for _, part := range system.Examine(ctx) {
		findings = append(findings, Finding{What: "system's " + part.What, Good: part.Good, Err: part.Err})
	}
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Err != nil }) {
		return findings
	}
	for _, rt := range runtimes {
		if rt.Check(ctx) == nil {
			return append(findings, trySystem(ctx, rt, system)...)
		}
	}
	return findings // the findings about runtimes say why it was not started
}

// trySystem starts the system, and does each operation once.
func trySystem(ctx context.Context, rt nodes.Runtime, system nodes.System) (findings []Finding) {
	started := Finding{What: "system's nodes"}
	cluster, err := rt.Start(ctx, nodes.Spec{Run: runID(time.Now()), Topology: systemNodes, System: system,
		Log: slog.New(slog.DiscardHandler), Progress: func(string) {}})
	if err != nil {
		started.Err = fmt.Errorf("start on %s: %w", rt.Name(), err)
		return []Finding{started}
	}
	defer func() {
		if err := nodes.Remove(ctx, cluster); err != nil {
			findings = append(findings, Finding{What: "system's end", Err: err})
		}
	}()
	began := time.Now()
	leader := ""
	for _, n := range systemNodes.Nodes() {
		seen, err := awaitNode(ctx, system.Open(cluster.Endpoint(n.Name)))
		if err != nil {
			started.Err = fmt.Errorf("%s: not ready within %v: %w%s", n.Name, systemReadyWithin, err, logEnd(ctx, cluster, n.Name))
			return []Finding{started}
		}
		leader = cmp.Or(leader, seen.Leader)
	}
	started.Good = fmt.Sprintf("3 were ready on %s after %.1f s", rt.Name(), time.Since(began).Seconds())
	if system.Facts().Can(history.ObservesLeaders) {
		started.Good += "; leader: " + cmp.Or(leader, "none")
	}
	node := cmp.Or(leader, systemNodes.Nodes()[0].Name)
	conn := system.Open(cluster.Endpoint(node))
	defer conn.Close()
	findings = []Finding{started}
	for _, f := range tryOperations(ctx, conn, system.Facts()) {
		if f.Err != nil {
			f.Err = fmt.Errorf("at %s: %w%s", node, f.Err, logEnd(ctx, cluster, node))
		}
		findings = append(findings, f)
	}
	return findings
}

// awaitNode asks a node until it is ready.
func awaitNode(ctx context.Context, conn nodes.Conn) (seen history.Observation, err error) {
	defer conn.Close()
	limited, cancel := context.WithTimeout(ctx, systemReadyWithin)
	defer cancel()
	for {
		now, failed := conn.Observe(limited)
		if failed == nil {
			return now, nil
		}
		if err == nil || limited.Err() == nil { // else it only tells of the limit
			err = failed
		}
		select {
		case <-limited.Done():
			return seen, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// logEnd is what a node said last, for an error.
func logEnd(ctx context.Context, cluster nodes.Cluster, node string) string {
	var log bytes.Buffer
	if err := cluster.Logs(ctx, node, &log); err != nil {
		return fmt.Sprintf("; its log cannot be read: %v", err)
	}
	said := strings.TrimSpace(log.String())
	if said == "" {
		return "; it has said nothing"
	}
	return "; it said last: " + said[max(0, len(said)-logShown):]
}

// tryOperations does each operation that a system has, and demands what it must answer a single client.
func tryOperations(ctx context.Context, conn nodes.Conn, facts nodes.Facts) (findings []Finding) {
	const key, absent = "faultline-doctor", "faultline-doctor-absent"
	do := func(what string, op nodes.Op, want func(nodes.Answer, error) error) (nodes.Answer, bool) {
		limited, cancel := context.WithTimeout(ctx, operationWithin)
		defer cancel()
		answer, err := conn.Do(limited, op)
		f := Finding{What: "system's " + string(op.F), Good: what}
		if wrong := want(answer, err); wrong != nil {
			f.Err = fmt.Errorf("%s: %w", what, wrong)
		}
		findings = append(findings, f)
		return answer, f.Err == nil
	}
	read := func(key string) nodes.Op {
		return nodes.Op{F: history.OpRead, Key: key, Mode: facts.Modes[0].Name}
	}
	if _, ok := do("a key that nobody wrote is absent", read(absent), isAbsent); !ok || !slices.Contains(facts.Ops, history.OpWrite) {
		return findings
	}
	if _, ok := do("a write is done", nodes.Op{F: history.OpWrite, Key: key, Value: "1"}, isDone); !ok {
		return findings
	}
	state, ok := do("what was written is read", read(key), holds("1"))
	if !ok || !slices.Contains(facts.Ops, history.OpCAS) {
		return findings
	}
	if _, ok = do("a key that is there is not written where it must be absent", nodes.Op{F: history.OpCAS, Key: key, Value: "2"}, isMismatch); !ok {
		return findings
	}
	if _, ok = do("another value is not replaced", nodes.Op{F: history.OpCAS, Key: key, Value: "2", Old: "7", Index: state.Index + min(state.Index, 1)}, isMismatch); !ok {
		return findings
	}
	if _, ok = do("the value is replaced", nodes.Op{F: history.OpCAS, Key: key, Value: "3", Old: "1", Index: state.Index}, isDone); !ok {
		return findings
	}
	if _, ok = do("what was set is read", read(key), holds("3")); !ok {
		return findings
	}
	do("a key is written that must be absent, and is", nodes.Op{F: history.OpCAS, Key: absent, Value: "4"}, isDone)
	return findings
}

func isDone(_ nodes.Answer, err error) error { return err }

func isAbsent(a nodes.Answer, err error) error {
	if err == nil && a.Found {
		err = fmt.Errorf("it holds %q", a.Value)
	}
	return err
}

func isMismatch(_ nodes.Answer, err error) error {
	switch {
	case err == nil:
		return errors.New("it was")
	case nodes.CodeOf(err) == history.CASMismatch:
		return nil
	}
	return err
}

func holds(value string) func(nodes.Answer, error) error {
	return func(a nodes.Answer, err error) error {
		switch {
		case err != nil:
			return err
		case !a.Found:
			return errors.New("it is absent")
		case a.Value != value:
			return fmt.Errorf("it is %q, and not %q", a.Value, value)
		}
		return nil
	}
}
