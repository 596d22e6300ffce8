package declared

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

func TestTemplatesOfAStart(t *testing.T) {
	system, err := New("/etc/x.yaml", []byte(`
name: x
program: /x
files: [/opt/x/main.py, lib]
port: 80
api: redis
settings: {rate: 5, fast: true}
args:
  - '{{file "x/main.py"}}'
  - '{{file "lib"}}'
  - ""
  - --id={{.Self.Index}}
  - |
    {{range .Others}}--join={{.Addr}}:{{$.Port}}
    {{end}}
    {{if .Settings.fast}}--fast{{end}}
env:
  START: "{{.Start}}"
  RATE: "{{.Settings.rate}}"
config:
  /etc/x/x.conf: |
    {{range .Servers}}server {{.Name}} {{.Addr}} {{.Role}}
    {{end}}
`), nil)
	require.NoError(t, err)
	start := trialStarts(nodes.Again)[1]
	launch, err := system.Launch(t.Context(), start)
	require.NoError(t, err)
	require.Equal(t, nodes.Launch{
		Args:  []string{"/opt/x/main.py", "/etc/lib", "", "--id=2", "--join=10.0.0.1:80", "--join=10.0.0.3:80", "--fast"},
		Env:   []string{"RATE=5", "START=again"},
		Files: map[string]string{"/etc/x/x.conf": "server dc1-s1 10.0.0.1 server\nserver dc1-s2 10.0.0.2 server\nserver dc1-s3 10.0.0.3 server\n\n"},
	}, launch)
	spare, err := system.Launch(t.Context(), trialStarts(nodes.Joiner)[3])
	require.NoError(t, err)
	require.Contains(t, spare.Args, "--join=10.0.0.2:80", "the others of a spare are all servers")
	require.Equal(t, []string{"RATE=5", "START=joiner"}, spare.Env)
}
