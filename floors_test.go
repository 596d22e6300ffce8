package faultline

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// floors is the architecture: a package imports only from floors below its own, or from
// its own column. The longest prefix of a package's path decides.
var floors = map[string]struct {
	floor  int
	column string
}{
	"faultline":                   {5, "faultline"},
	"faultline/cmd":               {6, "cmd"},
	"faultline/ci":                {6, "ci"},
	"faultline/nemesis":           {4, "nemesis"},
	"faultline/workloads":         {4, "workloads"},
	"faultline/nodes/agent":       {4, "agent"},
	"faultline/nodes/docker":      {4, "docker"},
	"faultline/nodes/local":       {4, "local"},
	"faultline/nodes/consul":      {4, "consul"},
	"faultline/checker/report":    {4, "report"},
	"faultline/nodes/pods":        {3, "pods"},
	"faultline/checker/rundir":    {2, "rundir"},
	"faultline/nodes":             {1, "nodes"},
	"faultline/nodes/injector":    {2, "injector"},
	"faultline/checker":           {1, "checker"},
	"faultline/topologies":        {0, "topologies"},
	"faultline/workloads/history": {0, "history"},
	"faultline/nodes/faults":      {-1, "faults"},
}

func place(path string) string {
	for path != "" {
		if _, ok := floors[path]; ok {
			return path
		}
		path = path[:max(0, strings.LastIndex(path, "/"))]
	}
	return ""
}

func TestImportsGoDownward(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").CombinedOutput()
	require.NoError(t, err, string(out))
	packages := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := place(words[0])
		require.NotEmpty(t, from, "%s stands on no floor: give it one", words[0])
		packages++
		for _, imported := range words[1:] {
			if imported != "faultline" && !strings.HasPrefix(imported, "faultline/") {
				continue
			}
			to := place(imported)
			ok := floors[to].floor < floors[from].floor || floors[to].column == floors[from].column
			require.True(t, ok, "%s (floor %d) imports %s (floor %d)", words[0], floors[from].floor, imported, floors[to].floor)
		}
	}
	require.Greater(t, packages, 10, "the list is too short to mean anything")
}
