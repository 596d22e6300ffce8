package declared

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

var update = flag.Bool("update", false, "write testdata anew")

// full has every field.
const full = `
name: full
doc: all that a file can say
program: bin/node
files: [lib, /usr/share/node.*]
args: ["--name={{.Self.Name}}"]
env: {LEVEL: "{{.Settings.level}}"}
config: {/etc/node.conf: "port = {{.Port}}\n"}
settings: {level: info}
port: 80
ready: /ready
api: http
http:
  read:
    doc: what the leader has
    method: POST
    path: /read
    headers: {Accept: text/plain}
    body: "{{.Key}}"
    answers: [{status: 200, body: "^[0-9]+$", is: ok}]
    value: {json: /value, base64: true, trim: true}
    index: {header: X-Index}
  modes:
    stale: {doc: what any node has, path: "/read?stale={{.Mode}}"}
  write: {path: "/{{.Key}}", body: "{{.Value}}", answers: [{status: 200, is: ok}]}
  cas: {path: "/{{.Key}}?cas={{.Index}}", body: "{{.Value}}", answers: [{status: 200, is: ok}, {status: 409, is: mismatch}]}
leader: {path: /leader, json: /name, matches: "^(.*)$", says: role, leads: leader, nobody: "-"}
`

func TestAFileReadsBack(t *testing.T) {
	dir := t.TempDir()
	file, err := Parse(filepath.Join(dir, "full.yaml"), []byte(full))
	require.NoError(t, err)
	require.Equal(t, dir+"/bin/node", file.Program)
	require.Equal(t, []string{dir + "/lib", "/usr/share/node.*"}, file.Files)
	again, err := Parse("/elsewhere/again.yaml", []byte(file.String()))
	require.NoError(t, err)
	require.Equal(t, file, again, "with paths that do not depend on where the file is")
	_, err = New("full.yaml", []byte(full), nil)
	require.NoError(t, err)
}

func TestExamplesReadBack(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 2)
	for _, name := range files {
		system, err := Load(name, nil)
		require.NoError(t, err)
		again, err := Parse("again", []byte(system.File().String()))
		require.NoError(t, err)
		require.Equal(t, system.File(), again)
	}
}

// TestMistakes holds what each mistake is answered with: testdata/mistakes.txtar has a file, and
// after it what is said of it.
func TestMistakes(t *testing.T) {
	const golden = "testdata/mistakes.txtar"
	archive, err := txtar.ParseFile(golden)
	require.NoError(t, err)
	require.Zero(t, len(archive.Files)%2)
	for i := 0; i < len(archive.Files); i += 2 {
		file, said := archive.Files[i], &archive.Files[i+1]
		_, err := New(file.Name+".yaml", file.Data, nil)
		require.Error(t, err, file.Name)
		if *update {
			said.Data = []byte(err.Error() + "\n")
		}
		require.Equal(t, string(said.Data), err.Error()+"\n", file.Name)
		for line := range strings.Lines(err.Error()) {
			require.Regexp(t, `^`+file.Name+`\.yaml:\d+: `, line, "a mistake has its line")
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(golden, txtar.Format(archive), 0o644))
	}
}

func TestSettingsAreThoseOfTheFile(t *testing.T) {
	system, err := New("full.yaml", []byte(full), map[string]any{"level": "debug"})
	require.NoError(t, err)
	launch, err := system.Launch(t.Context(), trialStarts(nodes.Founder)[0])
	require.NoError(t, err)
	require.Equal(t, []string{"LEVEL=debug"}, launch.Env)
	require.Equal(t, "info", system.File().Settings["level"], "the file is what it was")
	_, err = New("full.yaml", []byte(full), map[string]any{"levle": "debug"})
	require.EqualError(t, err, `settings: the system full has no setting "levle"; full.yaml has level`)
}

func TestFactsAreWhatTheFileSays(t *testing.T) {
	system, err := New("full.yaml", []byte(full), nil)
	require.NoError(t, err)
	require.Equal(t, nodes.Facts{Port: 80,
		Ops:       []history.Op{history.OpRead, history.OpWrite, history.OpCAS},
		Modes:     []nodes.Mode{{Name: "default", Doc: "what the leader has"}, {Name: "stale", Doc: "what any node has"}},
		Abilities: []history.Ability{history.ReportsIndexes},
	}, system.Facts(), "a node that knows only its own role does not say who leads")
	for says, leaders := range map[string]bool{"name": true, "address": true, "role": false} {
		text := strings.ReplaceAll(full, "says: role, leads: leader", "says: "+says)
		system, err := New("full.yaml", []byte(text), nil)
		require.NoError(t, err)
		require.Equal(t, leaders, system.Facts().Can(history.ObservesLeaders), says)
	}
}

func FuzzNew(f *testing.F) {
	f.Add(full)
	f.Add("name: x\nprogram: /x\nport: 1\napi: redis\nredis: {fail: [LOADING]}\nready: tcp\n")
	f.Add("name: x\nprogram: /x\nport: 1\napi: consul-kv\nargs:\n  - |\n    {{range .Others}}-join={{.Addr}}\n    {{end}}\n")
	f.Add("name: x\nprogram: &x /x\nfiles: [*x]\nport: 1\napi: redis\nargs: ['{{.Self.Nme}}']\n")
	f.Fuzz(func(t *testing.T, text string) {
		system, err := New("x.yaml", []byte(text), nil)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				require.True(t, strings.HasPrefix(line, "x.yaml:"), "%q", line)
			}
			return
		}
		again, err := Parse("y.yaml", []byte(system.File().String()))
		require.NoError(t, err)
		require.Equal(t, system.File().String(), again.String())
		for _, start := range trialStarts(nodes.Again) {
			launch, err := system.Launch(t.Context(), start)
			require.NoError(t, err)
			require.NoError(t, launch.Check())
		}
	})
}
