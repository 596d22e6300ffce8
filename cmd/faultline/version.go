package main

import (
	"cmp"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"faultline/checker"
	"faultline/checker/rundir"
	"faultline/cmd/faultline/output"
)

func versionCommand() *cobra.Command {
	var json bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of Faultline, and of what it is made of",
		Args:  cobra.NoArgs,
	}
	addJSON(c.Flags(), &json)
	c.RunE = command(func(*cobra.Command, []string) error {
		v := version()
		if json {
			return printJSON(v)
		}
		printf("%s", versionText(v))
		return nil
	})
	return c
}

// version is read from what the build wrote into this program.
func version() output.Version {
	all := rundir.Versions()
	v := output.Version{Version: cmp.Or(all["faultline"], "(unknown)"), Go: all["go"], Platform: all["platform"],
		RunDirectoryFormat: checker.FormatLatest, Modules: map[string]string{}}
	for name, of := range all {
		if strings.Contains(name, "/") {
			v.Modules[name] = of
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionText(v output.Version) string {
	lines := []string{"faultline " + v.Version}
	if v.Revision != "" {
		revision := "revision " + v.Revision
		if v.Modified {
			revision += ", with changes"
		}
		lines = append(lines, revision)
	}
	lines = append(lines, v.Go+" "+v.Platform, "run directory format "+strconv.Itoa(v.RunDirectoryFormat))
	for _, path := range slices.Sorted(maps.Keys(v.Modules)) {
		lines = append(lines, path+" "+v.Modules[path])
	}
	return strings.Join(lines, "\n") + "\n"
}
