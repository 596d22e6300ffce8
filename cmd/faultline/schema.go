package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"faultline"
	"faultline/cmd/internal/schema"
)

//go:generate go test -run TestSchemasAreThoseOfTheTypes -update .

// schemaKinds are the kinds of files that have a schema.
var schemaKinds = []string{"scenario", "schedule", "system", "topology"}

func schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema " + strings.Join(schemaKinds, "|"),
		Short: "Print the JSON Schema of a kind of file, for editors",
		Long: "An editor that speaks YAML's language server completes and checks a file that begins with\n" +
			"  # yaml-language-server: $schema=PATH/scenario.schema.json\n" +
			"The schemas of this version are also in ci/schemas.",
		Args:      cobra.ExactArgs(1),
		ValidArgs: schemaKinds,
		Example:   "  faultline schema scenario > scenario.schema.json",
	}
	c.RunE = command(func(_ *cobra.Command, args []string) error {
		if !slices.Contains(schemaKinds, args[0]) {
			return &faultline.UsageError{Err: fmt.Errorf("no schema of %q; there are %s", args[0], strings.Join(schemaKinds, ", "))}
		}
		text, err := schemaOf(args[0]).Encode()
		if err != nil {
			return err
		}
		printFile(text)
		return nil
	})
	return c
}

func schemaOf(kind string) *schema.Schema {
	switch kind {
	case "scenario":
		return schema.Scenario(flagUsage())
	case "schedule":
		return schema.Schedule()
	case "system":
		return schema.System()
	default:
		return schema.Topology()
	}
}

// flagUsage says what a field of a scenario is in the words of its flag.
func flagUsage() func(field string) string {
	var given scenarioFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	given.add(flags)
	return func(field string) string {
		if field == "settings" { // whose flag takes one at a time, too
			field = "set"
		}
		if field == "defects" { // whose flag takes one at a time
			field = "defect"
		}
		flag := flags.Lookup(field)
		if flag == nil {
			return ""
		}
		return strings.ReplaceAll(flag.Usage, "`", "")
	}
}
