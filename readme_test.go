package faultline

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nemesis"
)

var update = flag.Bool("update", false, "write the tables of README.md anew")

const (
	tableBegin = "<!-- what runtimes can do: go test . -run README -update -->\n"
	tableEnd   = "<!-- end -->\n"
)

// TestREADMEKnowsWhatRuntimesCanDo keeps a table of README.md to what the code says.
func TestREADMEKnowsWhatRuntimesCanDo(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), tableBegin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found)
	want := before + tableBegin + capabilityTable() + tableEnd + after
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "go test . -run README -update writes it")
}

func capabilityTable() string {
	var out strings.Builder
	head, line := "| capability | for the faults |", "|---|---|"
	for _, r := range Runtimes() {
		head, line = head+" "+r.Name+" |", line+"---|"
	}
	fmt.Fprintf(&out, "%s\n%s\n", head, line)
	for _, c := range AllCapabilities() {
		var faults []string
		for _, f := range nemesis.Faults() {
			if slices.Contains(f.Kind().Needs, c) {
				faults = append(faults, "`"+f.Kind().Name+"`")
			}
		}
		fmt.Fprintf(&out, "| %s | %s |", c, strings.Join(faults, ", "))
		for _, r := range Runtimes() {
			fmt.Fprintf(&out, " %s |", map[bool]string{true: "yes", false: "no"}[slices.Contains(r.Make().Capabilities(), c)])
		}
		out.WriteString("\n")
	}
	return out.String()
}
