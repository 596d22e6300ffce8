package checker

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/workloads/history"
)

type jepsenLog struct {
	name string
	ops  []history.Operation
}

// jepsenLogs reads the register histories in the test data of Porcupine's module. Number 95 is left out, as there: that cluster never came up.
func jepsenLogs(t *testing.T) (logs []jepsenLog) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anishathalye/porcupine").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "test_data", "jepsen", "etcd_*.log"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "Porcupine's module comes with its test data")
	for _, file := range files {
		if filepath.Base(file) == "etcd_095.log" {
			continue
		}
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		logs = append(logs, jepsenLog{filepath.Base(file), jepsenOps(t, string(data))})
	}
	return logs
}

var jepsenLine = regexp.MustCompile(`^INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(\w+)\s+:(read|write|cas)\s+(\S.*)$`)

// jepsenOps pairs the lines of a log; the number of a line is its time.
func jepsenOps(t *testing.T, text string) []history.Operation {
	value := func(s string) []byte {
		if s == "nil" {
			return history.Null
		}
		return []byte(strings.ReplaceAll(s, " ", ","))
	}
	var ops []history.Operation
	open := map[int]int{}
	for at, line := range strings.Split(text, "\n") {
		m := jepsenLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		p, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		if m[2] == "invoke" {
			open[p] = len(ops)
			ops = append(ops, history.Operation{ID: int64(at), Process: history.Process(p), F: history.Op(m[3]), Key: "r",
				Input: value(m[4]), Invoke: int64(at), Return: history.Pending, Type: history.Info})
			continue
		}
		i, ok := open[p]
		require.True(t, ok, line)
		delete(open, p)
		op := &ops[i]
		switch {
		case m[2] == "ok":
			op.Type, op.Return, op.Output = history.OK, int64(at), value(m[4])
		case m[2] == "fail" && m[3] == "cas" && strings.HasPrefix(m[4], "["):
			op.Type, op.Return, op.Error = history.Fail, int64(at), "cas-mismatch"
		case m[2] == "fail" && m[3] == "read":
			op.Type, op.Return = history.Fail, int64(at)
		}
	}
	return ops
}
