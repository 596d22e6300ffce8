package schema

import (
	"reflect"
	"slices"
	"time"

	"faultline"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/catalogue"
	"faultline/nemesis"
	"faultline/nodes/declared"
	"faultline/nodes/faults"
	"faultline/topologies"
	"faultline/workloads/history"
)

// Durations are written as Go writes them: 250ms, 1m30s.
const (
	oneTime    = `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)`
	someTime   = `^(` + oneTime + `)+$`
	signedTime = `^[-+]?(` + oneTime + `)+$`
)

// nodeName is what names of nodes and datacenters look like.
var nodeName = &Schema{Type: "string", Pattern: `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`}

// values are the schemas of values that files write in a way of their own.
var values = map[reflect.Type]*Schema{
	reflect.TypeFor[time.Duration](): {Type: "string", Pattern: signedTime, Description: "a duration such as 3s or 250ms"},
	reflect.TypeFor[faults.Ports]():  {Type: "array", Items: &Schema{Type: "integer"}, MinItems: 1},
}

// Scenario is the schema of a scenario. doc says what a field is, by its name; it may be nil.
func Scenario(doc func(field string) string) *Schema {
	names := func(entries []output.Entry, more ...string) *Schema {
		for _, e := range entries {
			more = append(more, e.Name)
		}
		return oneOfWords(more)
	}
	auto := faultline.Scenario{}.Defaults().Runtime
	s := object(fieldsOf(reflect.TypeFor[faultline.Scenario](), map[reflect.Type]*Schema{
		reflect.TypeFor[time.Duration]():  {Type: "string", Pattern: someTime},
		reflect.TypeFor[nemesis.Steps]():  list(ref("step")),
		reflect.TypeFor[history.Mode]():   {Type: "string", Pattern: `^[a-z][a-z0-9-]{0,30}$`}, // of the system
		reflect.TypeFor[map[string]any](): {Type: "object"},                                    // of the system, too
	}))
	for field, schema := range map[string]*Schema{
		"runtime":       names(catalogue.Runtimes(), auto),
		"system":        {Type: "string", AnyOf: []*Schema{names(catalogue.Systems()), {Pattern: `[/.]`}}}, // a name or a path
		"workload":      names(catalogue.Workloads()),
		"defects":       list(names(catalogue.Defects())),
		"nemesis":       list(names(catalogue.Families())),
		"nemesis-style": oneOfWords([]string{string(faultline.StyleDeck), string(faultline.StyleSwarm)}),
		"topology":      {Type: "string", AnyOf: []*Schema{names(catalogue.Topologies()), {Pattern: `[/.]`}}}, // a name or a path
	} {
		if _, ok := s.Properties[field]; !ok {
			panic("schema: a scenario has no field " + field)
		}
		s.Properties[field] = schema
	}
	if doc != nil {
		for field := range s.Properties {
			s.Properties[field] = s.Properties[field].described(doc(field))
		}
	}
	s.Properties["service-levels"] = s.Properties["service-levels"].described("what is to be served in which time; a run that misses it is invalid")
	s.Not = &Schema{AnyOf: []*Schema{{Required: []string{"nemesis", "schedule"}}, {Required: []string{"nemesis", "steps"}}, {Required: []string{"schedule", "steps"}}}}
	s.Draft, s.Title, s.Definitions = draft07, "A scenario of Faultline", steps()
	return s
}

// Schedule is the schema of a schedule.
func Schedule() *Schema {
	s := object(map[string]*Schema{"seed": atLeast(0), "steps": list(ref("step"))}, "steps")
	s.Draft, s.Title, s.Definitions = draft07, "A schedule of Faultline", steps()
	return s
}

// steps are the definitions of a step: one for every fault, whose options are the fields of
// the fault's type.
func steps() map[string]*Schema {
	step := &Schema{}
	all := map[string]*Schema{"step": step}
	for _, f := range nemesis.Faults() {
		name := f.Kind().Name
		all[name] = stepOf(f)
		step.OneOf = append(step.OneOf, ref(name))
	}
	return all
}

func stepOf(f nemesis.Fault) *Schema {
	kind := f.Kind()
	fields := fieldsOf(reflect.TypeOf(f), map[reflect.Type]*Schema{
		reflect.TypeFor[time.Duration]():   values[reflect.TypeFor[time.Duration]()],
		reflect.TypeFor[faults.Ports]():    values[reflect.TypeFor[faults.Ports]()],
		reflect.TypeFor[nemesis.Traffic](): oneOfWords([]string{string(nemesis.Gossip), string(nemesis.RPC)}),
		reflect.TypeFor[nemesis.OneWay]():  oneOfWords([]string{string(nemesis.In), string(nemesis.Out)}),
	})
	when := &Schema{AnyOf: []*Schema{{Type: "string", Pattern: someTime}, {Const: 0}}}
	s := object(fields, "fault")
	fields["fault"] = &Schema{Const: kind.Name}
	fields["at"] = when.described("when it begins, from the start of the faults")
	fields["when"] = (&Schema{Type: "string", Pattern: nemesis.TriggerPattern}).described("the event that it waits for")
	fields["after"] = when.described("how long after the event it begins")
	fields["within"] = when.described("how long it waits for the event, or for whoever has the role")
	fields["optional"] = (&Schema{Type: "boolean"}).described("it may be skipped")
	fields["skip"] = (&Schema{Type: "boolean"}).described("it is not played")
	fields["fired"] = (&Schema{Type: "string", Pattern: nemesis.TriggerPattern}).described("the event that made it begin")
	fields["draw"] = atLeast(0).described("which nodes a word means")
	fields["target"] = &Schema{AnyOf: []*Schema{oneOfWords(kind.Targets), {Type: "array", Items: nodeName, MinItems: 1}},
		Description: "a word, or a list of node names"}
	if !kind.Momentary {
		fields["for"] = when.described("how long it lasts")
		if kind.For == 0 {
			s.Required = append(s.Required, "for")
		}
	}
	fields["dc"] = nodeName.described("of which datacenter; may be left out where there is one, or the target says it")
	switch {
	case kind.Between:
		fields["between"] = &Schema{Type: "array", Items: nodeName, MinItems: 2, MaxItems: 2,
			Description: "in place of target: all links between two datacenters"}
		s.OneOf = []*Schema{{Required: []string{"target"}}, {Required: []string{"between"}}}
	case !slices.Equal(kind.Targets, []string{nemesis.Primary}):
		s.Required = append(s.Required, "target")
	}
	return s.described(kind.Doc)
}

// Topology is the schema of a topology.
func Topology() *Schema {
	count := atLeast(0)
	most := topologies.MaxNodes
	count.Maximum = &most
	members := &Schema{AnyOf: []*Schema{count, list(nodeName)}, Description: "how many, or their names"}
	s := object(fieldsOf(reflect.TypeFor[topologies.Topology](), map[reflect.Type]*Schema{
		reflect.TypeFor[time.Duration]():         values[reflect.TypeFor[time.Duration]()],
		reflect.TypeFor[topologies.Datacenter](): ref("datacenter"),
		reflect.TypeFor[topologies.Link]():       ref("link"),
	}), "name", "datacenters")
	s.Properties["name"] = nodeName
	s.Properties["datacenters"].MinItems = 1

	datacenter := object(fieldsOf(reflect.TypeFor[topologies.Datacenter](), map[reflect.Type]*Schema{
		reflect.TypeFor[topologies.Members](): members}), "name", "servers")
	datacenter.Properties["name"] = nodeName
	link := object(fieldsOf(reflect.TypeFor[topologies.Link](), values), "between")
	link.Properties["between"] = &Schema{Type: "array", Items: nodeName, MinItems: 2, MaxItems: 2,
		Description: "two datacenters or nodes; of one twice: all links within it"}
	var profiles []string
	for _, p := range topologies.Profiles() {
		profiles = append(profiles, p.Name)
	}
	link.Properties["profile"] = oneOfWords(profiles).described("what the links are like; values beside it override it")
	link.Properties["rtt-of"] = &Schema{Type: "array", Items: oneOfWords(topologies.Regions()), MinItems: 2, MaxItems: 2,
		Description: "two regions: the delay is half the round-trip time between them"}
	s.Draft, s.Title = draft07, "A topology of Faultline"
	s.Definitions = map[string]*Schema{"datacenter": datacenter, "link": link}
	return s
}

// System is the schema of a file that describes a system.
func System() *Schema {
	status := atLeast(200)
	most := 599
	status.Maximum = &most
	port := atLeast(1)
	highest := 65535
	port.Maximum = &highest
	operation := reflect.TypeFor[declared.Operation]()
	known := map[reflect.Type]*Schema{
		operation:                        ref("operation"),
		reflect.TypeFor[declared.Part](): ref("part"),
		reflect.TypeFor[declared.Kind](): oneOfWords(words(declared.Kinds())),
		reflect.TypeFor[declared.Says](): oneOfWords(words(declared.AllSays())),
	}
	s := object(fieldsOf(reflect.TypeFor[declared.File](), known), "name", "program", "port", "api")
	for field, schema := range map[string]*Schema{"api": oneOfWords(declared.APIs()), "port": port} {
		s.Properties[field] = schema.described(s.Properties[field].Description)
	}
	s.Properties["http"].Required = []string{"read"}
	s.Properties["leader"].Required = []string{"path"}
	inner := object(fieldsOf(operation, known))
	row := inner.Properties["answers"].Items
	row.Properties["status"], row.Required = status.described(row.Properties["status"].Description), []string{"status", "is"}
	s.Draft, s.Title = draft07, "A system of Faultline"
	s.Definitions = map[string]*Schema{"operation": inner, "part": object(fieldsOf(reflect.TypeFor[declared.Part](), known))}
	return s
}

func words[T ~string](all []T) (words []string) {
	for _, one := range all {
		words = append(words, string(one))
	}
	return words
}
