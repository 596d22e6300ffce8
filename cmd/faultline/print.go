package main

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"faultline/checker/report"
	"faultline/cmd/faultline/output"
)

// What goes to a terminal and may hold words of a file, a node or the machine goes through
// [report.Visible] here, at the last moment: an error's text is free to quote what it found.

// printf writes to the standard output.
func printf(format string, args ...any) {
	fmt.Print(report.Visible(fmt.Sprintf(format, args...)))
}

// complain writes an error to the standard error; of several lines each stays one.
func complain(err error) {
	fmt.Fprintln(os.Stderr, "faultline:", report.Visible(err.Error()))
}

// printFile writes a text that is meant to be kept: byte by byte, unless it goes to a terminal.
func printFile(text string) {
	if term.IsTerminal(int(os.Stdout.Fd())) {
		text = report.Visible(text)
	}
	fmt.Print(text)
}

// printJSON writes the one document of a command that was asked for JSON. No terminal obeys
// anything in it (output.Encode).
func printJSON(document any) error {
	text, err := output.Encode(document)
	if err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	if _, err := os.Stdout.WriteString(text); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return nil
}

// addJSON adds the flag --json.
func addJSON(flags *pflag.FlagSet, json *bool) {
	flags.BoolVar(json, "json", false, "print one JSON document on the standard output, and nothing else")
}
