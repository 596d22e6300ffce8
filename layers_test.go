package faultline

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// layers is the architecture: a package imports only from layers below its own, or from
// its own group. The longest prefix of a package's path decides.
var layers = map[string]struct {
	layer int
	group string
}{
	"faultline":                   {5, "faultline"},
	"faultline/cmd":               {6, "cmd"},
	"faultline/ci":                {6, "ci"},
	"faultline/nemesis":           {4, "nemesis"},
	"faultline/workloads":         {4, "workloads"},
	"faultline/nodes/agent":       {4, "agent"},
	"faultline/nodes/docker":      {4, "docker"},
	"faultline/nodes/local":       {4, "local"},
	"faultline/nodes/declared":    {4, "declared"},
	"faultline/nodes/consul":      {3, "consul"},
	"faultline/nodes/etcd":        {3, "etcd"},
	"faultline/checker/report":    {4, "report"},
	"faultline/nodes/systemtest":  {3, "systemtest"},
	"faultline/nodes/pods":        {3, "pods"},
	"faultline/checker/rundir":    {2, "rundir"},
	"faultline/nodes":             {1, "nodes"},
	"faultline/nodes/injector":    {2, "injector"},
	"faultline/checker":           {1, "checker"},
	"faultline/topologies":        {0, "topologies"},
	"faultline/workloads/history": {0, "history"},
	"faultline/nodes/faults":      {-1, "faults"},
}

func longestPrefix(path string) string {
	for path != "" {
		if _, ok := layers[path]; ok {
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
		from := longestPrefix(words[0])
		require.NotEmpty(t, from, "%s is in no layer: add it to layers", words[0])
		packages++
		for _, imported := range words[1:] {
			if imported != "faultline" && !strings.HasPrefix(imported, "faultline/") {
				continue
			}
			to := longestPrefix(imported)
			ok := layers[to].layer < layers[from].layer || layers[to].group == layers[from].group
			require.True(t, ok, "%s (layer %d) imports %s (layer %d)", words[0], layers[from].layer, imported, layers[to].layer)
		}
	}
	require.Greater(t, packages, 10, "the list is too short to mean anything")
}
