package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/topologies"
	"faultline/workloads/history"
)

// drawnTree is a history drawn by hand, an operation a line: what, when from and to, the key or prefix, and then any of
//
//	=v1            writes v1                    @5       told index 5
//	if=5           compares with index 5        a:v1@5/3 an entry in the answer: key, value, modify and create index
//	next=9         the index of a listing       found    an answer of a refused condition tells what it found
//	info, fail     instead of ok                stale, s2  the mode; the node, s1 by default
func drawnTree(t testing.TB, lines ...string) *Run {
	run := &Run{Settings: Settings{Workload: "tree"}}
	for i, line := range lines {
		op := history.Operation{ID: int64(i), Process: history.Process(i), Node: "s1", Type: history.OK, Mode: history.ModeDefault}
		fields := strings.Fields(line)
		op.F, op.Key = history.Op(fields[0]), strings.ReplaceAll(fields[2], "-", "")
		_, err := fmt.Sscanf(fields[1], "%d-%d", &op.Invoke, &op.Return)
		require.NoError(t, err, line)
		var value string
		var compared *history.Entry
		var entries []history.Entry
		var next uint64
		found := false
		for _, f := range fields[3:] {
			number := func(prefix string) (n uint64) {
				_, err := fmt.Sscanf(strings.TrimPrefix(f, prefix), "%d", &n)
				require.NoError(t, err, line)
				return n
			}
			switch {
			case f[0] == '=':
				value = f[1:]
			case f[0] == '@':
				op.ModifyIndex = number("@")
			case strings.HasPrefix(f, "if="):
				compared = &history.Entry{ModifyIndex: number("if=")}
			case strings.HasPrefix(f, "next="):
				next = number("next=")
			case f == "info":
				op.Type, op.Return, op.Error = history.Info, history.Pending, history.Timeout
			case f == "fail":
				op.Type, op.Error = history.Fail, history.CASMismatch
			case f == "found":
				found = true
			case f == "stale":
				op.Mode = history.ModeStale
			case f[0] == 's' && len(f) == 2:
				op.Node = f
			default:
				var e history.Entry
				key, rest, ok := strings.Cut(f, ":")
				require.True(t, ok, f)
				e.Key = key
				e.Value, rest, _ = strings.Cut(rest, "@")
				n, _ := fmt.Sscanf(rest, "%d/%d", &e.ModifyIndex, &e.CreateIndex)
				require.NotZero(t, n, f)
				entries = append(entries, e)
			}
		}
		one := json.RawMessage("null")
		if len(entries) > 0 {
			one = encode(entries[0])
		}
		switch op.F {
		case history.OpWrite:
			op.Input = encode(value)
		case history.OpCAS:
			op.Input = encode([]any{compared, value})
		case history.OpDeleteCAS:
			op.Input = encode(compared)
		case history.OpRead:
			op.Output = one
		case history.OpList:
			op.Output = encode(history.Listing{Entries: entries, Next: next})
		}
		if found {
			op.Current = one
		}
		run.Ops = append(run.Ops, op)
	}
	return run
}

func TestTree(t *testing.T) {
	for name, c := range map[string]struct {
		verdict Verdict
		says    string
		lines   []string
	}{
		"written, listed, deleted": {Valid, "2 listings and 1 look of 2 keys",
			[]string{"write 1-2 a =v1 @5", "write 3-4 ab =v2 @6", "list 5-6 a a:v1@5/5 ab:v2@6/6 next=6", "delete 7-8 a @9", "list 9-10 a ab:v2@6/6 next=9", "read 11-12 a"}},
		"nothing was seen": {Unknown, "nothing was tested", []string{"write 1-2 a =v1 info", "list 3-4 a"}},

		"half of two writes":        {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 1-9 a =v2 @6", "write 1-9 b =v3 @7", "list 3-8 - a:v1@5/5 b:v3@7/7 next=7"}},
		"both, or the first":        {Valid, "", []string{"write 1-2 a =v1 @5", "write 1-9 a =v2 @6", "write 1-9 b =v3 @7", "list 3-8 - a:v2@6/5 next=6", "list 3-8 - a:v2@6/5 b:v3@7/7 next=7"}},
		"older than what was told":  {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "list 5-6 a a:v1@5/5 next=5"}},
		"older than another key's":  {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 1-9 a =v2 @6", "write 3-4 b =v3 @7", "list 5-6 a a:v1@5/5 next=5"}},
		"as old, but asked before":  {Valid, "", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "list 2-6 a a:v1@5/5 next=5"}},
		"as old, but it may be":     {Valid, "", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "list 5-6 a a:v1@5/5 next=5 stale"}},
		"older than another's read": {Invalid, "fits no moment", []string{"write 1-9 a =v1 @5", "write 1-9 a =v2 @6", "read 2-3 a a:v2@6/5", "list 4-5 a a:v1@5/5 next=5"}},
		"it lacks what is there":    {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "list 3-4 a a:v1@5/5 next=6"}},
		"and so does a read":        {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "read 3-4 a"}},
		"deleted meanwhile":         {Valid, "", []string{"write 1-2 a =v1 @5", "delete 3-9 a @6", "list 4-5 a next=6", "read 10-11 a"}},
		"deleted before it was":     {Invalid, "nobody can have deleted it", []string{"delete 1-2 a @4", "write 3-4 a =v1 @5", "read 5-6 a"}},
		"deleted only later":        {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "read 3-4 a", "delete 5-6 a @7"}},
		"deleted, perhaps":          {Valid, "", []string{"write 1-2 a =v1 @5", "delete 3-4 a info", "read 5-6 a"}},
		"not by that condition":     {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "delete-cas 3-4 a if=5 info", "read 5-6 a"}},
		"it came back":              {Invalid, "it came back", []string{"write 1-2 a =v1 @5", "delete 3-4 a @6", "list 5-6 a a:v1@5/5 next=6", "write 7-8 a =v2 @9", "read 9-10 a a:v2@9/5"}},
		"it came back, by a read":   {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "delete 3-4 a @6", "read 5-6 a a:v1@5/5"}},
		"made again":                {Valid, "", []string{"write 1-2 a =v1 @5", "delete 3-4 a @6", "write 5-6 a =v2 @7", "read 7-8 a a:v2@7/7"}},
		"made again by nobody":      {Invalid, "nobody had deleted it", []string{"write 1-2 a =v1 @5", "write 5-6 a =v2 @7", "read 7-8 a a:v2@7/7"}},

		"half of a prefix":           {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-9 a @8", "list 4-5 a a:v1@5/5 next=8"}},
		"half of it, and told":       {Invalid, "since it does not have ab, and before index 8", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-9 a @8", "list 4-5 a a:v1@5/5 next=7"}},
		"half of it, perhaps":        {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-4 a info", "list 5-6 a a:v1@5/5 next=7"}},
		"half of it, by two reads":   {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-4 a info", "read 5-6 ab", "read 7-8 a a:v1@5/5"}},
		"half of it, and back":       {Valid, "", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-4 a info", "write 5-6 a =v3 @9", "list 7-8 a a:v3@9/9 next=9"}},
		"all of it, perhaps":         {Valid, "", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-4 a info", "read 5-6 ab", "read 7-8 a"}},
		"not another's prefix":       {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1 @5", "delete-tree 3-4 ab @8", "read 5-6 a"}},
		"between two seen versions":  {Invalid, "at no time by then", []string{"write 1-2 a =v1 @5", "delete 3-4 a", "cas 5-6 a if=5 =v2 @9", "read 7-8 a a:v2@9/5"}},
		"its place is another key's": {Invalid, "at no time by then", []string{"write 1-2 a =v1 @5", "write 1-2 ab =v2 @6", "delete-tree 3-4 a", "write 5-6 b =v3 @8", "read 1-2 a a:v1@5/5", "cas 7-8 ab if=6 =v4 @9"}},
		"told, and not done":         {Invalid, "before this was asked for", []string{"write 1-2 a =v1 @5", "delete-tree 3-4 a", "write 5-6 b =v2 @9", "read 7-8 a a:v1@5/5"}},

		"the condition held":       {Valid, "", []string{"write 1-2 a =v1 @5", "delete-cas 3-4 a if=5 @7", "read 5-6 a"}},
		"the condition did not":    {Invalid, "if index 5 was still there took effect at index 7", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 @6", "delete-cas 3-4 a if=5 @7", "read 5-6 a"}},
		"it was absent, perhaps":   {Valid, "", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 @6", "delete 1-2 a info", "delete-cas 3-4 a if=5 @8", "read 5-6 a"}},
		"refused though it held":   {Invalid, "just the index that it asked for", []string{"write 1-2 a =v1 @5", "delete-cas 3-4 a if=5 fail found a:v1@5"}},
		"refused, and why":         {Valid, "", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 @6", "delete-cas 3-4 a if=5 fail found a:v2@6"}},
		"refused for what is old":  {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 @6", "cas 3-4 a if=9 =v3 fail found a:v1@5"}},
		"refused for nothing":      {Invalid, "just the index that it asked for, 0", []string{"write 1-2 b =v1 @5", "cas 3-4 a =v3 fail found"}},
		"set over what was there":  {Invalid, "overwrote what it never saw", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 @6", "cas 3-4 a if=5 =v3 @7"}},
		"set though it was there":  {Invalid, "nobody had deleted it", []string{"write 1-2 a =v1 @5", "cas 3-4 a =v3 @7"}},
		"set, and made before":     {Invalid, "the key was there since index 4", []string{"cas 3-4 a =v3 @7", "read 5-6 a a:v3@7/4"}},
		"set over one life":        {Invalid, "the key was made at index 6", []string{"write 1-2 a =v1 @5", "cas 3-4 a if=5 =v3 @7", "read 5-6 a a:v3@7/6"}},
		"set, and then back":       {Invalid, "it came back", []string{"write 1-2 a =v1 @5", "delete 1-9 a @6", "cas 3-4 a if=5 =v3 @7"}},
		"one life, two beginnings": {Invalid, "which it replaced, at 5", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @7", "read 3-4 a a:v1@5/5", "read 5-6 a a:v2@7/4"}},

		"of another prefix":    {Invalid, "does not begin with", []string{"write 1-2 b =v1 @5", "list 3-4 a b:v1@5/5 next=5"}},
		"not sorted":           {Invalid, "not sorted", []string{"write 1-2 b =v1 @5", "write 1-2 a =v2 @6", "list 3-4 - b:v1@5/5 a:v2@6/6 next=6"}},
		"twice":                {Invalid, `"a" twice`, []string{"write 1-2 a =v1 @5", "list 3-4 - a:v1@5/5 a:v1@5/5 next=6"}},
		"changed before made":  {Invalid, "made at index 6", []string{"write 1-2 a =v1 @5", "list 3-4 a a:v1@5/6 next=6"}},
		"above its own index":  {Invalid, "its own index is 4", []string{"write 1-2 a =v1 @5", "list 3-4 a a:v1@5/5 next=4"}},
		"above the next write": {Invalid, "fits no moment", []string{"list 3-4 a next=6", "write 5-6 a =v1 @5"}},

		"of nobody":             {Invalid, "which nobody asked to write", []string{"write 1-2 a =v1 @5", "list 3-4 a a:v7@6/5 next=6"}},
		"of another key":        {Invalid, "written to another key", []string{"write 1-2 a =v1 @5", "read 3-4 b b:v1@6/6"}},
		"certainly failed":      {Invalid, "had certainly failed", []string{"cas 1-2 a =v1 fail", "read 3-4 a a:v1@5/5"}},
		"from the future":       {Invalid, "only asked for at", []string{"read 1-2 a a:v1@5/5", "write 3-4 a =v1 info"}},
		"under another index":   {Invalid, "took effect at index 5", []string{"write 1-2 a =v1 @5", "read 3-4 a a:v1@6/6"}},
		"two values":            {Invalid, "index 5 stands for", []string{"write 1-2 a =v1 @5", "write 1-2 a =v2 info", "read 3-4 a a:v2@5/5"}},
		"two beginnings":        {Invalid, "at index 5 it was made at index", []string{"write 1-2 a =v1 @5", "read 3-4 a a:v1@5/5", "read 3-4 a a:v1@5/4"}},
		"one index, two keys":   {Invalid, "and of another key", []string{"write 1-2 a =v1 @5", "write 1-2 b =v2 @5"}},
		"empty":                 {Valid, "", []string{"write 1-2 a = @5", "write 1-2 a = info", "read 3-4 a a:@5/5", "read 5-6 a a:@8/5"}},
		"empty by nobody":       {Invalid, "is empty", []string{"write 1-2 a = @5", "read 3-4 a a:@6/6"}},
		"changes out of order":  {Invalid, "though the store was at 5 before", []string{"write 1-2 a =v1 @5", "write 3-4 b =v2 @4"}},
		"a deletion, too":       {Invalid, "though the store was at 5 before", []string{"write 1-2 a =v1 @5", "delete 3-4 b @4"}},
		"at a deletion's index": {Invalid, "though the store was at 5 before", []string{"delete 1-2 b @5", "write 3-4 a =v1 @5"}},
		"of nothing, again":     {Valid, "", []string{"write 1-2 a =v1 @5", "delete 3-4 b @5", "delete-tree 5-6 bb @5"}},

		"no index: replaced":      {Invalid, "before this was asked for", []string{"write 1-2 a =v1", "read 3-4 a a:v1@5/5", "write 5-6 b =v2", "read 5-6 b b:v2@6/6", "write 7-8 a =v3", "read 9-10 a a:v1@5/5"}},
		"no index: it has one":    {Invalid, "though the store was at 6 before", []string{"write 1-2 a =v1 @5", "write 3-4 b =v2", "write 5-9 a =v3 @6"}},
		"no index: lost":          {Invalid, "nobody can have deleted it", []string{"write 1-2 a =v1", "read 3-4 a", "write 1-2 b =v2 @5"}},
		"no index: deleted":       {Valid, "", []string{"write 1-2 a =v1", "delete 1-4 a", "read 5-6 a", "write 1-2 b =v2 @5"}},
		"no index: dated by list": {Invalid, "fits no moment", []string{"write 1-2 a =v1", "write 3-4 a =v2", "list 5-6 a a:v2@8/5 next=8", "list 7-8 a a:v1@5/5 next=8"}},

		"stale, in two halves":          {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "write 3-4 b =v3 @7", "list 5-6 - a:v1@5/5 b:v3@7/7 next=7 stale"}},
		"stale, and back at one server": {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "read 5-6 a a:v2@6/5 stale", "read 7-8 a a:v1@5/5 stale"}},
		"stale, and back at another":    {Valid, "", []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "read 5-6 a a:v2@6/5 stale", "read 7-8 a a:v1@5/5 stale s2"}},
		"stale, of the future":          {Invalid, "fits no moment", []string{"write 1-2 a =v1 @5", "list 3-4 a a:v1@5/5 next=9 stale", "write 5-6 a =v2 @6"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkTree(context.Background(), drawnTree(t, c.lines...))
			require.Equal(t, c.verdict, r.Verdict, r.Summary)
			require.Contains(t, r.Summary, c.says)
			require.Equal(t, c.verdict == Invalid, len(r.Counterexamples) > 0)
		})
	}
}

// A server that was started again may know less than before, and of what a client agent asks nobody knows who answered.
func TestStaleAnswersOfOneServerAndLife(t *testing.T) {
	lines := []string{"write 1-2 a =v1 @5", "write 3-4 a =v2 @6", "read 5-6 a a:v2@6/5 stale", "read 7-8 a a:v1@5/5 stale"}
	topology := topologies.Topology{Datacenters: []topologies.Datacenter{{Name: "dc1", Servers: topologies.Members{Names: []string{"s1"}}}}}
	run := drawnTree(t, lines...)
	for i := range run.Ops {
		run.Ops[i].Invoke, run.Ops[i].Return = run.Ops[i].Invoke*1e10, run.Ops[i].Return*1e10
	}
	run.Topology = topology
	require.Equal(t, Invalid, checkTree(context.Background(), run).Verdict)
	run.Faults = []history.Fault{{Name: "kill", Kills: true, Targets: []string{"s1"}, Start: 6.2e10, Healed: 6.4e10}}
	require.Equal(t, Valid, checkTree(context.Background(), run).Verdict)
	run.Faults[0].Targets = []string{"s2"}
	require.Equal(t, Invalid, checkTree(context.Background(), run).Verdict)
	run.Ops[3].Hops = []history.Hop{{Node: "s1"}, {Node: "s2"}}
	require.Equal(t, Valid, checkTree(context.Background(), run).Verdict, "another one answered")
	run.Ops[3].Hops = nil
	run.Topology.Datacenters[0].Servers, run.Topology.Datacenters[0].Clients = topologies.Members{}, topology.Datacenters[0].Servers
	require.Equal(t, Valid, checkTree(context.Background(), run).Verdict, "it asked whom it liked")
}

func TestWhatIsNoTreeIsUnknown(t *testing.T) {
	for _, op := range []history.Operation{
		{F: history.OpAcquire}, {F: history.OpWatch, Type: history.OK}, {F: history.OpWrite, Input: []byte("7")}, {F: history.OpCAS, Input: []byte("7")},
		{F: history.OpDeleteCAS, Input: []byte("7")}, {F: history.OpRead, Type: history.OK, Output: []byte("7")},
		{F: history.OpList, Type: history.OK, Output: []byte("7")}, {F: history.OpRead, Type: history.OK, Output: []byte("{}")},
		{F: history.OpList, Type: history.OK, Output: []byte(`{"entries":[{"key":"a"}]}`)},
	} {
		r := checkTree(context.Background(), &Run{Ops: []history.Operation{op}})
		require.Equal(t, Unknown, r.Verdict)
		require.Contains(t, r.Summary, "does not fit trees", op.F)
	}
	r := checkTree(context.Background(), drawnTree(t, "write 1-2 a =v1 @5", "write 3-4 a =v1 @6"))
	require.Contains(t, r.Summary, "operation 0 wrote \"v1\" as well")
	require.NotEmpty(t, Tree().Needs(&Run{Settings: Settings{Abilities: []history.Ability{}}}))
}

func FuzzTree(f *testing.F) {
	f.Add("write", `"v1"`, "", "list", "", `{"entries":[{"key":"k","value":"v1","modify":3}],"next":4}`)
	f.Add("cas", `[{"modify":3},"v2"]`, `{"value":"v1","modify":3}`, "read", "", `{"value":"","modify":3}`)
	f.Fuzz(func(t *testing.T, f1, in1, out1, f2, in2, out2 string) {
		run := &Run{}
		for i, o := range [][3]string{{f1, in1, out1}, {f2, in2, out2}} {
			for j, how := range []history.Type{history.OK, history.Fail, history.Info} {
				run.Ops = append(run.Ops, history.Operation{ID: int64(3*i + j), F: history.Op(o[0]), Key: "k", Input: []byte(o[1]), Output: []byte(o[2]),
					Current: []byte(o[2]), Error: history.CASMismatch, ModifyIndex: uint64(i), Type: how, Invoke: int64(i), Return: int64(i + 2)})
			}
		}
		r := checkTree(context.Background(), run)
		require.NotEmpty(t, r.Summary)
		require.Equal(t, r.Verdict == Invalid, len(r.Counterexamples) > 0)
	})
}
