package report

import (
	"fmt"
	"strings"

	"faultline/checker"
)

// Bounds of a summary. GitHub accepts at most 1 MiB from one step.
const (
	maxMarkdownFaults  = 50
	maxMarkdownStories = 3
)

// Markdown returns the summary of one run as GitHub's Markdown. It ends with a newline.
func Markdown(d Data) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s: %s\n\n", mark(d.Verdict), md(string(d.Verdict)), md(d.Scenario))
	fmt.Fprintf(&b, "**%s**\n\n", md(headline(d)))
	for _, note := range d.Notes {
		fmt.Fprintf(&b, "> %s\n\n", md(note))
	}
	for _, t := range troubles(d.Results) {
		markdownTrouble(&b, t, d)
	}
	markdownCheckers(&b, d)
	markdownFaults(&b, d)
	fmt.Fprintf(&b, "%s.\n", md(keyMetrics(d)))
	if d.Command != "" {
		fmt.Fprintf(&b, "\nRepeat it:\n\n%s\n", mdBlock(d.Command))
	}
	return b.String()
}

// MarkdownSuite returns several runs as GitHub's Markdown: a table first, then each run that is
// not valid. name is the title.
func MarkdownSuite(name string, runs []Data) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s %s: %s\n\n", mark(worst(runs)), md(string(worst(runs))), md(name))
	b.WriteString("| | scenario | verdict | operations | faults | length | seed | why |\n|---|---|---|--:|--:|--:|--:|---|\n")
	for _, d := range runs {
		why := ""
		if d.Verdict != checker.Valid {
			why = headline(d)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d | %s | %s | %s |\n", mark(d.Verdict), md(d.Scenario), md(string(d.Verdict)),
			thousands(len(d.run().Ops)), len(d.run().Faults), span(d.Length), seed(d), md(why))
	}
	for _, d := range runs {
		if d.Verdict != checker.Valid {
			b.WriteString("\n" + Markdown(d))
		}
	}
	return b.String()
}

func worst(runs []Data) checker.Verdict {
	var verdicts []checker.Verdict
	for _, d := range runs {
		verdicts = append(verdicts, d.Verdict)
	}
	return checker.Worst(verdicts...)
}

func markdownTrouble(b *strings.Builder, r checker.Result, d Data) {
	reasons := otherReasons(r, maxMarkdownStories)
	for _, reason := range reasons {
		fmt.Fprintf(b, "- %s: %s\n", md(r.Checker), md(reason))
	}
	if len(reasons) > 0 {
		b.WriteString("\n")
	}
	for i, c := range r.Counterexamples {
		if i == maxMarkdownStories {
			fmt.Fprintf(b, "%s more in the report.\n\n", count(len(r.Counterexamples)-i, "counterexample"))
			break
		}
		s := storyOf(i+1, c, d.run())
		fmt.Fprintf(b, "### Counterexample %d: key %s\n\n%s\n\n", s.Number, md(s.Key), md(s.Why))
		b.WriteString("| | process | node | operation | result | sent | answered | order |\n|--:|--:|---|---|---|--:|--:|---|\n")
		for i, op := range s.Ops {
			result := string(op.Type)
			if op.Error != "" {
				result += ": " + string(op.Error)
			}
			fmt.Fprintf(b, "| %d | %d | %s | %s | %s | %s | %s | %s |\n", i+1, op.Process, md(op.Node), md(short(op)),
				md(result), stamp(op.Invoke), stamp(op.Return), md(s.Sentences[i].Order))
		}
		b.WriteString("\n")
		if s.LeftOut > 0 {
			fmt.Fprintf(b, "%s more in the report.\n\n", count(s.LeftOut, "operation"))
		}
		for _, m := range s.Meanwhile {
			fmt.Fprintf(b, "In force meanwhile: fault %s\n\n", md(m))
		}
	}
}

func markdownCheckers(b *strings.Builder, d Data) {
	if len(d.Results) == 0 {
		return
	}
	b.WriteString("| | checker | verdict | what it found |\n|---|---|---|---|\n")
	for _, r := range d.Results {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", mark(r.Verdict), md(r.Checker), md(string(r.Verdict)), md(r.Summary))
	}
	b.WriteString("\n")
	for _, r := range d.Results {
		if text := budget(r); text != "" {
			fmt.Fprintf(b, "%s: %s\n\n", md(r.Checker), md(text))
		}
	}
}

func markdownFaults(b *strings.Builder, d Data) {
	rows := faultRows(d.run())
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "<details><summary>%s</summary>\n\n", count(len(rows), "fault"))
	b.WriteString("| step | fault | nodes | from – to | effect | heal | recovery |\n|--:|---|---|---|---|---|--:|\n")
	for i, r := range rows {
		if i == maxMarkdownFaults {
			fmt.Fprintf(b, "\n%s more in the report.\n", count(len(rows)-i, "fault"))
			break
		}
		fmt.Fprintf(b, "| %d | %s | %s | %s – %s | %s | %s | %s |\n", r.Step, md(r.Name), md(r.Targets), r.From, r.Till,
			verifiedCell(r.Verified, md(r.Error)), verifiedCell(r.HealVerified, ""), r.Recovery)
	}
	b.WriteString("\n</details>\n\n")
}

func verifiedCell(verified bool, why string) string {
	switch {
	case verified:
		return "✓"
	case why != "":
		return "✗ " + why
	}
	return "✗ not verified"
}

var mdEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`,
	"[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "#", `\#`, "!", `\!`, "@", "@\u200b", "://", ":\u200b//")

// md makes a text harmless inside a line or a cell: no markup, no mention of a person, no
// link made by itself.
func md(text string) string { return mdEscapes.Replace(VisibleLine(text)) }

// mdBlock is a code block whose fence is longer than any in the text.
func mdBlock(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "\n" + VisibleLine(text) + "\n" + fence
}
