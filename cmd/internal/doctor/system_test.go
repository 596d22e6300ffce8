package doctor

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/local"
	"faultline/workloads/history"
)

// store is a client of a store in memory; wrong is what it does wrong.
type store struct {
	nodes.Conn
	data  map[string]string
	wrong string
}

func (s store) Do(_ context.Context, op nodes.Op) (nodes.Answer, error) {
	value, found := s.data[op.Key]
	switch {
	case op.F == history.OpRead && !found && s.wrong == "absent is an error":
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "no row for the status 404")
	case op.F == history.OpRead && s.wrong == "always the same":
		return nodes.Answer{Found: true, Value: "1"}, nil
	case op.F == history.OpRead && found && s.wrong == "with a line break":
		return nodes.Answer{Found: true, Value: value + "\n"}, nil
	case op.F == history.OpRead:
		return nodes.Answer{Found: found, Value: value}, nil
	case op.F == history.OpWrite && s.wrong == "forgets":
		return nodes.Answer{}, nil
	case op.F == history.OpCAS && s.wrong != "sets without compare" && value != op.Old:
		return nodes.Answer{}, nodes.Errorf(history.CASMismatch, "it is another")
	case op.F == history.OpCAS && !found && s.wrong == "sets nothing that is absent":
		return nodes.Answer{}, nodes.Errorf(history.CASMismatch, "it is absent")
	}
	s.data[op.Key] = op.Value
	return nodes.Answer{Found: true, Value: op.Value}, nil
}

func TestOperationsAreTried(t *testing.T) {
	facts := nodes.Facts{Ops: []history.Op{history.OpRead, history.OpWrite, history.OpCAS}, Modes: []nodes.Mode{{Name: history.ModeDefault}}}
	for wrong, want := range map[string]string{
		"":                            "",
		"absent is an error":          "a key that nobody wrote is absent: unknown: no row for the status 404",
		"always the same":             `a key that nobody wrote is absent: it holds "1"`,
		"with a line break":           `what was written is read: it is "1\n", and not "1"`,
		"forgets":                     "what was written is read: it is absent",
		"sets without compare":        "a key that is there is not written where it must be absent: it was",
		"sets nothing that is absent": "a key is written that must be absent, and is: cas-mismatch: it is absent",
	} {
		findings := tryOperations(t.Context(), store{data: map[string]string{}, wrong: wrong}, facts)
		last := findings[len(findings)-1]
		for _, f := range findings[:len(findings)-1] {
			require.NoError(t, f.Err, wrong)
		}
		if want == "" {
			require.NoError(t, last.Err)
			require.Len(t, findings, 8)
		} else {
			require.EqualError(t, last.Err, want, wrong)
		}
	}
	facts.Ops = facts.Ops[:1]
	require.Len(t, tryOperations(t.Context(), store{data: map[string]string{}}, facts), 1, "what it cannot do is not tried")
}

func TestTheExampleIsTried(t *testing.T) {
	if _, err := os.Stat("/usr/bin/python3"); err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skip("needs /usr/bin/python3")
	}
	if err := local.New().Check(t.Context()); err != nil && os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "1" {
		t.Skip("needs local: ", err)
	}
	findings := ExamineSystem(t.Context(), filepath.Join("..", "..", "..", "nodes", "examples", "kv.yaml"), local.New())
	require.Len(t, findings, 12)
	for _, f := range findings {
		require.NoError(t, f.Err, f.What)
	}
	require.Contains(t, findings[3].Good, "3 were ready on local after ")
	require.Contains(t, findings[3].Good, "; leader: dc1-s1")

	missing := ExamineSystem(t.Context(), filepath.Join(t.TempDir(), "none.yaml"), local.New())
	require.Len(t, missing, 1)
	require.ErrorContains(t, missing[0].Err, "no such file or directory")
}
