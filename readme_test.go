package faultline

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nemesis"
)

// The READMEs are held to what there is: each thing that a user can name is written down in
// its place, and what is written down is there. What there is, the commands themselves say.

var update = flag.Bool("update", false, "write the table of "+readmeFaults+" anew")

// Where things of a kind are written down.
const (
	readmeFirst     = "README.md"
	readmeFaults    = "nemesis/README.md"
	readmeNodes     = "nodes/README.md"
	readmeShapes    = "topologies/README.md"
	readmeWorkloads = "workloads/README.md"
	readmeCheckers  = "checker/README.md"
	readmeScenarios = "ci/README.md"
	readmeCommands  = "cmd/README.md"
)

// mostWords is what somebody reads who has never heard of Faultline.
const mostWords = 900

const (
	tableBegin = "<!-- what runtimes can do: go test . -run README -update -->\n"
	tableEnd   = "<!-- end -->\n"
)

// TestREADMEKnowsWhatRuntimesCanDo keeps a table to what the code says.
func TestREADMEKnowsWhatRuntimesCanDo(t *testing.T) {
	text := readText(t, readmeFaults)
	before, rest, found := strings.Cut(text, tableBegin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, tableEnd)
	require.True(t, found)
	want := before + tableBegin + capabilityTable() + tableEnd + after
	if *update {
		require.NoError(t, os.WriteFile(readmeFaults, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, text, "go test . -run README -update writes it")
}

func capabilityTable() string {
	var out strings.Builder
	head, line := "| capability | for the faults |", "|---|---|"
	for _, r := range Default().Runtimes {
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
		for _, r := range Default().Runtimes {
			fmt.Fprintf(&out, " %s |", map[bool]string{true: "yes", false: "no"}[slices.Contains(r.Make().Capabilities(), c)])
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestREADMEIsShort(t *testing.T) {
	words := len(strings.Fields(readText(t, readmeFirst)))
	require.LessOrEqual(t, words, mostWords, "%s has %d words: what it says beyond that belongs into a folder's README", readmeFirst, words)
}

// TestREADMEsNameAllFaults: every fault with its targets, options and family.
func TestREADMEsNameAllFaults(t *testing.T) {
	_, sections, found := strings.Cut(readText(t, readmeFaults), "\n### ")
	require.True(t, found)
	sections, _, found = strings.Cut(sections, "\n## ")
	require.True(t, found)
	for _, f := range nemesis.Faults() {
		kind := f.Kind()
		row := rowOf(t, readmeFaults, kind.Name)
		var targets []string // they may stand for those of the row above, or of another fault's
		for _, target := range kind.Targets {
			if !strings.Contains(row, "`"+target+"`") {
				targets = append(targets, target)
			}
		}
		if !strings.Contains(row, "the same") && !strings.Contains(row, "as `") {
			require.Empty(t, targets, "the row of the fault %s in %s lacks targets", kind.Name, readmeFaults)
		}
		require.Contains(t, row, "`"+kind.Family+"`", "the row of the fault %s in %s lacks its family", kind.Name, readmeFaults)
		for _, option := range nemesis.OptionNames(f) {
			require.Contains(t, row, "`"+option+"`", "the row of the fault %s in %s lacks an option", kind.Name, readmeFaults)
			require.Regexp(t, "(?m)^\\| `"+option+"[`:]", sections, "%s names the option %s of %s, and says nothing of it", readmeFaults, option, kind.Name)
		}
	}
}

// rowOf is the line of a table that begins with a name, alone, in a link, or after others.
func rowOf(t *testing.T, file, name string) string {
	t.Helper()
	row := regexp.MustCompile("(?m)^\\|[^|]*`" + regexp.QuoteMeta(name) + "`[^|]*\\|.*$").FindString(readText(t, file))
	require.NotEmpty(t, row, "%s has no row for %s", file, name)
	return row
}

// TestREADMEsNameWhatTheCommandsHave builds the commands and asks them. The flags are those with which runs build the
// agent and the injector: what these have in common with the tool is compiled once.
func TestREADMEsNameWhatTheCommandsHave(t *testing.T) {
	t.Parallel()
	built := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", built, "./cmd/...")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	tool := filepath.Join(built, "faultline")
	commands := commandsOf(t, tool)
	t.Run("all that is listed", func(t *testing.T) { namesAllListed(t, output(t, tool, "list")) })
	t.Run("all commands and flags", func(t *testing.T) {
		namesAllFlags(t, commands, output(t, filepath.Join(built, "injector"), "clock", "--help"), output(t, filepath.Join(built, "agent"), "-help"))
	})
	t.Run("no others", func(t *testing.T) { namesWhatExists(t, commands) })
}

// namesAllListed: what `faultline list` prints is written down.
func namesAllListed(t *testing.T, said string) {
	place := map[string]string{"runtimes": readmeNodes, "systems": readmeNodes, "topologies": readmeShapes, "workloads": readmeWorkloads,
		"families": readmeFaults, "faults": readmeFaults, "checkers": readmeCheckers, "defects": readmeScenarios}
	kind, names := "", 0
	for line := range strings.Lines(said) {
		if word := strings.Fields(line); len(word) > 0 && !strings.HasPrefix(line, " ") {
			kind = word[0]
			require.Contains(t, place, kind, "where is this kind of thing written down?")
		} else if name := regexp.MustCompile(`^  ([a-z0-9-]+)`).FindStringSubmatch(line); name != nil {
			require.Contains(t, readText(t, place[kind]), "`"+name[1]+"`", "%s: %s says nothing of it", kind, place[kind])
			names++
		}
	}
	require.Greater(t, names, 60, "the list is too short to mean anything:\n%s", said)
}

// TestREADMENamesAllFieldsOfAScenario, and no others.
func TestREADMENamesAllFieldsOfAScenario(t *testing.T) {
	var fields []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Scenario]()) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			fields = append(fields, name)
		}
	}
	_, text, found := strings.Cut(readText(t, readmeScenarios), "## Scenarios")
	require.True(t, found)
	text, _, found = strings.Cut(text, "\n## ")
	require.True(t, found)
	var rows []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` ").FindAllStringSubmatch(text, -1) {
		rows = append(rows, row[1])
	}
	require.ElementsMatch(t, fields, rows, "the table of fields in %s", readmeScenarios)
}

// namesAllFlags: commands and flags of the tool, the injector's clock and the agent are
// written down, and no flags beside these.
func namesAllFlags(t *testing.T, commands map[string][]string, clock, agent string) {
	text := readText(t, readmeCommands)
	known := map[string]bool{}
	for path, flags := range commands {
		require.Contains(t, text, "`"+path+"`", "%s says nothing of a command", readmeCommands)
		for _, f := range flags {
			require.Regexp(t, "`"+f+"[`= ]", text, "%s: %s says nothing of a flag", path, readmeCommands)
			known[f] = true
		}
	}
	for _, f := range flagsIn(clock) {
		require.Contains(t, text, "`"+f+"`", "injector clock: %s says nothing of a flag", readmeCommands)
		known[f] = true
	}
	agents := regexp.MustCompile(`(?m)^  (-[a-z-]+)`).FindAllStringSubmatch(agent, -1)
	require.Greater(t, len(agents), 10)
	for _, f := range agents {
		require.Contains(t, text, "`"+f[1]+"`", "agent: %s says nothing of a flag", readmeCommands)
		known[f[1]] = true
	}
	for _, row := range regexp.MustCompile(`(?m)^\|.*$`).FindAllString(text, -1) {
		for _, f := range regexp.MustCompile("`(--?[a-z][a-z-]*)`").FindAllStringSubmatch(row, -1) {
			require.True(t, known[f[1]] || len(f[1]) == 2, "%s has a flag that does not exist: %s", readmeCommands, f[1])
		}
	}
}

// namesWhatExists: each command, flag, target of make, suite and scenario that any text names.
func namesWhatExists(t *testing.T, commands map[string][]string) {
	flags := map[string]bool{}
	for _, all := range commands {
		for _, f := range all {
			flags[f] = true
		}
	}
	targets := makeTargets(t)
	seen := 0
	for _, file := range texts(t) {
		for _, code := range codeOf(readText(t, file)) {
			for _, m := range regexp.MustCompile(`(?:^|[\s/])faultline ((?:schedule |completion )?[a-z]+(?:-[a-z]+)*)([^\n#|>]*)`).FindAllStringSubmatch(code, -1) {
				require.True(t, isCommand(commands, "faultline "+m[1]), "%s names a command: %s", file, code)
				for _, f := range regexp.MustCompile(`\s(--[a-z-]+)`).FindAllStringSubmatch(m[2], -1) {
					require.True(t, flags[f[1]], "%s names a flag of faultline: %s", file, f[1])
				}
				seen++
			}
			for _, m := range regexp.MustCompile(`(?:^|\n|&& )make ([a-z-]+)`).FindAllStringSubmatch(code, -1) {
				require.Contains(t, targets, m[1], "%s names a target of make", file)
				seen++
			}
			for _, m := range regexp.MustCompile(`(?:^|\s)(ci/[a-z0-9/.-]+)`).FindAllStringSubmatch(code, -1) {
				_, err := os.Stat(m[1])
				require.NoError(t, err, "%s names a scenario or a suite", file)
			}
			for _, m := range regexp.MustCompile(`\bSUITE=([a-z]+)`).FindAllStringSubmatch(code, -1) {
				require.DirExists(t, filepath.Join("ci", m[1]), "%s names a suite", file)
			}
		}
	}
	require.Greater(t, seen, 30, "too few to mean anything")
}

// isCommand reports whether there is a command of that path, or below it.
func isCommand(commands map[string][]string, path string) bool {
	for c := range commands {
		if c == path || strings.HasPrefix(c, path+" ") {
			return true
		}
	}
	return false
}

// TestREADMENamesAllOfMake: every target and variable that a caller may give.
func TestREADMENamesAllOfMake(t *testing.T) {
	text := readText(t, readmeScenarios)
	for _, target := range makeTargets(t) {
		require.Contains(t, text, "| `"+target+"` |", "%s says nothing of a target of make", readmeScenarios)
	}
	variables := regexp.MustCompile(`(?m)^([A-Z]+)\s+\?=`).FindAllStringSubmatch(readText(t, "Makefile"), -1)
	require.NotEmpty(t, variables)
	for _, v := range variables {
		require.Contains(t, text, "`"+v[1]+"`", "%s says nothing of a variable of make", readmeScenarios)
	}
}

// TestREADMETellsOfEveryBug that is a scenario of ci/regress, and of every suite.
func TestREADMETellsOfEveryBug(t *testing.T) {
	_, record, found := strings.Cut(readText(t, readmeScenarios), "## Track record")
	require.True(t, found)
	bugs, err := filepath.Glob("ci/regress/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, bugs)
	for _, file := range bugs {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		require.Contains(t, record, "| `"+name+"` |", "the track record lacks a bug")
	}
	folders, err := filepath.Glob("ci/*/*.yaml")
	require.NoError(t, err)
	for _, file := range folders {
		suite := filepath.Base(filepath.Dir(file))
		require.Contains(t, readText(t, readmeScenarios), "| ["+suite+"]("+suite+") |", "%s lacks a suite", readmeScenarios)
	}
}

// TestLinksOfREADMEsLeadSomewhere: each relative link of a text is a file, a folder, or a heading.
func TestLinksOfREADMEsLeadSomewhere(t *testing.T) {
	links := 0
	for _, file := range texts(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(readText(t, file), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			links++
			path, heading, inside := strings.Cut(m[1], "#")
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), path)
				_, err := os.Stat(to)
				require.NoError(t, err, "%s has a link", file)
			}
			if inside {
				require.Contains(t, headings(readText(t, to)), heading, "%s has a link into %s", file, to)
			}
		}
	}
	require.Greater(t, links, 50, "too few to mean anything")
}

// headings lists those of a text as links into it name them.
func headings(text string) (all []string) {
	text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestPathsOfCONTRIBUTINGExist: files and folders that it sends people to.
func TestPathsOfCONTRIBUTINGExist(t *testing.T) {
	paths := 0
	for _, m := range regexp.MustCompile("`([A-Za-z0-9_./-]+)`").FindAllStringSubmatch(readText(t, "CONTRIBUTING.md"), -1) {
		path := m[1]
		isPath := strings.Contains(path, "/") || slices.Contains([]string{".go", ".md", ".yaml", ".mod"}, filepath.Ext(path))
		if !isPath || filepath.IsAbs(path) || strings.Contains(path, "bin/") {
			continue
		}
		paths++
		info, err := os.Stat(path)
		require.NoError(t, err, "CONTRIBUTING.md sends people there")
		if strings.HasSuffix(path, "/") {
			require.True(t, info.IsDir(), "%s is no folder", path)
		}
	}
	require.Greater(t, paths, 20, "too few to mean anything")
}

// TestEveryFolderHasAREADME that the first one leads to.
func TestEveryFolderHasAREADME(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if !e.IsDir() || !slices.Contains(sourceFolders(t), e.Name()) {
			continue
		}
		require.FileExists(t, filepath.Join(e.Name(), "README.md"))
		require.Contains(t, readText(t, readmeFirst), "("+e.Name()+"/README.md)", "%s does not lead there", readmeFirst)
	}
}

// sourceFolders are those of the top level that have packages or scenarios.
func sourceFolders(t *testing.T) []string {
	t.Helper()
	folders := map[string]bool{}
	walk(t, func(path string) {
		if first, _, below := strings.Cut(path, "/"); below && (strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".yaml")) {
			folders[first] = true
		}
	})
	return slices.Sorted(maps.Keys(folders))
}

// texts lists the READMEs and what stands beside the first one.
func texts(t *testing.T) (all []string) {
	t.Helper()
	walk(t, func(path string) {
		if filepath.Base(path) == "README.md" || !strings.Contains(path, "/") && strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
	})
	require.Greater(t, len(all), 8)
	return all
}

// walk visits the files of the repository; what is hidden, or made by runs, is none of it.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != "." && (strings.HasPrefix(e.Name(), ".") || slices.Contains([]string{"store", "kept", "bin", "testdata"}, path)):
			return filepath.SkipDir
		case !e.IsDir():
			visit(filepath.ToSlash(path))
		}
		return nil
	}))
}

// codeOf lists what stands between backquotes: blocks, and words of a sentence.
func codeOf(text string) (all []string) {
	block := regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
		all = append(all, m[1])
	}
	return all
}

func makeTargets(t *testing.T) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):.*## `).FindAllStringSubmatch(readText(t, "Makefile"), -1) {
		all = append(all, m[1])
	}
	require.NotEmpty(t, all)
	return all
}

// commandsOf lists the commands of the tool that do something, each with its flags.
func commandsOf(t *testing.T, tool string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	var ask func(path ...string)
	ask = func(path ...string) {
		help := output(t, tool, append(path, "--help")...)
		_, below, parent := strings.Cut(help, "Available Commands:\n")
		if !parent {
			all[strings.Join(append([]string{"faultline"}, path...), " ")] = flagsIn(help)
			return
		}
		below, _, _ = strings.Cut(below, "\n\n")
		for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+(?:-[a-z]+)*) `).FindAllStringSubmatch(below, -1) {
			ask(append(slices.Clone(path), m[1])...)
		}
	}
	ask()
	all["faultline help"] = nil // which prints the same as --help
	require.Greater(t, len(all), 7)
	return all
}

func flagsIn(help string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^ +(?:-[a-z], )?(--[a-z-]+)`).FindAllStringSubmatch(help, -1) {
		all = append(all, m[1])
	}
	return all
}

// output is what a command said.
func output(t *testing.T, path string, args ...string) string {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", path, args, said)
	return string(said)
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
