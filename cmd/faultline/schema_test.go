package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"faultline"
	"faultline/nemesis"
	"faultline/nodes/declared"
	"faultline/topologies"
)

const repository = "../.."

func schemaFile(kind string) string {
	return filepath.Join(repository, "ci", "schemas", kind+".schema.json")
}

func TestSchemasAreThoseOfTheTypes(t *testing.T) {
	for _, kind := range schemaKinds {
		text, err := schemaOf(kind).Encode()
		require.NoError(t, err)
		if *update {
			require.NoError(t, os.WriteFile(schemaFile(kind), []byte(text), 0o644))
		}
		stored, err := os.ReadFile(schemaFile(kind))
		require.NoError(t, err)
		require.Equal(t, text, string(stored), "go generate ./cmd/faultline writes %s anew", schemaFile(kind))
	}
}

// compiled is a schema as a validator that is not ours understands it.
func compiled(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	file, err := filepath.Abs(schemaFile(kind))
	require.NoError(t, err)
	schema, err := jsonschema.NewCompiler().Compile(file)
	require.NoError(t, err)
	return schema
}

// check validates a YAML text as an editor does.
func check(t *testing.T, schema *jsonschema.Schema, text []byte) error {
	t.Helper()
	var plain any
	require.NoError(t, yaml.Unmarshal(text, &plain))
	data, err := json.Marshal(plain)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return schema.Validate(value)
}

func checkFiles(t *testing.T, kind, pattern string, least int) {
	t.Helper()
	schema := compiled(t, kind)
	files, err := filepath.Glob(filepath.Join(repository, pattern))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), least, pattern)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, check(t, schema, text), file)
	}
}

func TestShippedFilesFollowTheirSchemas(t *testing.T) {
	checkFiles(t, "scenario", "ci/*/*.yaml", 30)
	checkFiles(t, "topology", "topologies/layouts/*.yaml", 5)
	checkFiles(t, "system", "nodes/examples/*.yaml", 2)
	checkFiles(t, "scenario", "cmd/faultline/testdata/runs/*/scenario.yaml", 3)
	checkFiles(t, "schedule", "cmd/faultline/testdata/runs/*/schedule.yaml", 3)
	checkFiles(t, "schedule", "cmd/faultline/testdata/runs/*/resolved.yaml", 2)
	checkFiles(t, "topology", "cmd/faultline/testdata/runs/*/topology.yaml", 3)
}

// What Faultline writes itself follows the schemas, too: every option of every fault is
// among the trials, and what seeds draw of all families.
func TestWhatIsMadeFollowsItsSchema(t *testing.T) {
	schedule, scenario := compiled(t, "schedule"), compiled(t, "scenario")
	layout, err := topologies.Load("dc1-5c2x2")
	require.NoError(t, err)
	trials := nemesis.Schedule{Seed: 1, Steps: nemesis.Trials(layout)}
	require.NoError(t, check(t, schedule, []byte(trials.String())))
	families := map[string][]string{"dc1-5c2x2": nil, "dc2-3x3c2": {"wan"}} // without spares nobody joins
	for _, f := range nemesis.Families() {
		if f.Name != "wan" {
			families["dc1-5c2x2"] = append(families["dc1-5c2x2"], f.Name)
		}
		if f.Name != "wan" && f.Name != "join" {
			families["dc2-3x3c2"] = append(families["dc2-3x3c2"], f.Name)
		}
	}
	for seed := range uint64(40) {
		layout := []string{"dc1-5c2x2", "dc2-3x3c2"}[seed%4/2]
		s := faultline.Scenario{Name: "drawn", Topology: layout, Nemesis: families[layout], Seed: seed + 1, TimeLimit: 10 * time.Minute}
		made, err := faultline.MakeSchedule(s)
		require.NoError(t, err)
		require.NotEmpty(t, made.Steps)
		require.NoError(t, check(t, schedule, []byte(made.String())), "%s", made)
		if seed%2 == 0 {
			s.NemesisStyle = faultline.StyleSwarm
			made, err = faultline.MakeSchedule(s)
			require.NoError(t, err)
			require.NoError(t, check(t, schedule, []byte(made.String())), "%s", made)
		}
		s.Nemesis, s.Steps = nil, nemesis.Steps(made.Steps)
		require.NoError(t, check(t, scenario, []byte(s.Defaults().String())))
	}
}

// A schema knows the options that a step's reader knows, and no others.
func TestSchemasKnowTheOptionsOfEveryFault(t *testing.T) {
	definitions := schemaOf("schedule").Definitions
	require.Len(t, definitions, len(nemesis.Faults())+1, "and that of a step")
	for _, f := range nemesis.Faults() {
		var options []string
		for name := range definitions[f.Kind().Name].Properties {
			if !slices.Contains([]string{"at", "for", "fault", "target", "dc", "between", "draw", "when", "after", "within", "optional", "skip", "fired"}, name) {
				options = append(options, name)
			}
		}
		require.ElementsMatch(t, nemesis.OptionNames(f), options, f.Kind().Name)
	}
}

func TestEveryFieldOfAScenarioIsDescribed(t *testing.T) {
	properties := schemaOf("scenario").Properties
	require.Greater(t, len(properties), 20)
	of := reflect.TypeFor[faultline.Scenario]()
	for i := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(i).Tag.Get("yaml"), ","); name != "" {
			require.Contains(t, properties, name)
			if name != "doc" && name != "steps" { // which have no flags
				require.NotEmpty(t, properties[name].Description, name)
			}
		}
	}
}

// What a schema refuses, the reader refuses as well; both are asked.
func TestBrokenFilesDoNotFollowTheirSchemas(t *testing.T) {
	read := map[string]func(string) error{
		"scenario": func(text string) error { _, err := faultline.ParseScenario("x.yaml", []byte(text)); return err },
		"schedule": func(text string) error {
			s, err := nemesis.Parse("x.yaml", []byte(text))
			if err != nil {
				return err
			}
			layout, err := topologies.Load("dc1-5")
			require.NoError(t, err)
			return s.Check(layout, faultline.AllCapabilities())
		},
		"system":   func(text string) error { _, err := declared.New("x.yaml", []byte(text), nil); return err },
		"topology": func(text string) error { _, err := topologies.Parse("x.yaml", []byte(text)); return err },
	}
	for kind, texts := range map[string]map[string]string{
		"scenario": {
			"unknown field":       "ratee: 5",
			"text for a number":   "rate: many",
			"number for a time":   "timeout: 5",
			"time without unit":   "quiet: '5'",
			"list for a number":   "keys: [1]",
			"no word for a mode":  "mode: eventual reads",
			"two kinds of faults": "nemesis: [kill]\nschedule: x.yaml",
			"unknown fault":       "steps: [{at: 1s, for: 1s, fault: kil, target: one}]",
			"foreign option":      "steps: [{at: 1s, for: 1s, fault: kill, target: one, loss: 0.1}]",
		},
		"schedule": {
			"unknown field":         "step: []",
			"no fault":              "steps: [{at: 1s, for: 1s, target: one}]",
			"no target":             "steps: [{at: 1s, for: 1s, fault: kill}]",
			"no end":                "steps: [{at: 1s, fault: kill, target: one}]",
			"an end of a moment":    "steps: [{at: 1s, for: 2s, fault: transfer}]",
			"unknown word":          "steps: [{at: 1s, for: 1s, fault: kill, target: everybody}]",
			"another's word":        "steps: [{at: 1s, for: 1s, fault: kill, target: bridge}]",
			"nobody":                "steps: [{at: 1s, for: 1s, fault: kill, target: []}]",
			"before the run":        "steps: [{at: -1s, for: 1s, fault: kill, target: one}]",
			"text for a share":      "steps: [{at: 1s, for: 1s, fault: link, target: all, loss: some}]",
			"unknown direction":     "steps: [{at: 1s, for: 1s, fault: partition, target: one, oneway: up}]",
			"negative draw":         "steps: [{at: 1s, for: 1s, fault: kill, target: one, draw: -1}]",
			"word for yes or no":    "steps: [{at: 1s, for: 1s, fault: partition, target: one, reject: maybe}]",
			"step that is no field": "steps: [kill]",
		},
		"system": {
			"unknown field":      "name: x\nprogram: /x\nport: 1\napi: redis\nprot: 2",
			"no program":         "name: x\nport: 1\napi: redis",
			"no port":            "name: x\nprogram: /x\napi: redis",
			"text for a port":    "name: x\nprogram: /x\nport: http\napi: redis",
			"port out of range":  "name: x\nprogram: /x\nport: 65536\napi: redis",
			"unknown api":        "name: x\nprogram: /x\nport: 1\napi: soap",
			"no list of files":   "name: x\nprogram: /x\nport: 1\napi: redis\nfiles: /y",
			"no read":            "name: x\nprogram: /x\nport: 1\napi: http\nhttp: {write: {path: /a}}",
			"unknown meaning":    "name: x\nprogram: /x\nport: 1\napi: http\nhttp: {read: {path: '/{{.Key}}', answers: [{status: 200, is: fine}]}}",
			"row without status": "name: x\nprogram: /x\nport: 1\napi: http\nhttp: {read: {path: '/{{.Key}}', answers: [{is: ok}]}}",
			"unknown part":       "name: x\nprogram: /x\nport: 1\napi: http\nhttp: {read: {path: '/{{.Key}}', value: {xml: a}, answers: [{status: 200, is: ok}]}}",
			"unknown words":      "name: x\nprogram: /x\nport: 1\napi: consul-kv\nleader: {path: /l, says: who}",
		},
		"topology": {
			"unknown field":      "name: x\ndatacenters: [{name: a, servers: 3, sevrers: 2}]",
			"no datacenter":      "name: x\ndatacenters: []",
			"not a count":        "name: x\ndatacenters: [{name: a, servers: three}]",
			"negative count":     "name: x\ndatacenters: [{name: a, servers: -1}]",
			"bad name":           "name: x\ndatacenters: [{name: a, servers: [N_1]}]",
			"link of one":        "name: x\ndatacenters: [{name: a, servers: 1}]\nlinks: [{between: [a]}]",
			"link's field":       "name: x\ndatacenters: [{name: a, servers: 1}]\nlinks: [{between: [a, a], dely: 5ms}]",
			"partition's option": "name: x\ndatacenters: [{name: a, servers: 1}]\nlinks: [{between: [a, a], drop: true}]",
		},
	} {
		schema := compiled(t, kind)
		for name, text := range texts {
			t.Run(kind+", "+name, func(t *testing.T) {
				require.Error(t, check(t, schema, []byte(text)), "by the schema")
				require.Error(t, read[kind](text), "by the reader")
			})
		}
	}
}
