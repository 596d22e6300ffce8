package main

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"faultline/checker/report"
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
