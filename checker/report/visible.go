package report

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible makes a text that others wrote (a file, a node, a machine) safe to show. What
// could move a terminal's cursor, colour what follows or turn its order around is written
// as in a Go string: \x1b, \u202e. That is every control character of ASCII and of
// ISO 8859-1's upper half, every bidirectional control, the separators U+2028 and U+2029,
// and bytes that are not UTF-8, in which an 8-bit terminal can see a control character.
// Newlines and tabs stay: see [VisibleLine].
func Visible(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(escaped(text[i : i+1]))
		case isControl(r):
			b.WriteString(escaped(string(r)))
		default:
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

// VisibleLine is [Visible] for a text that must stay on its line: newlines and tabs become
// spaces.
func VisibleLine(text string) string { return Visible(oneLine.Replace(text)) }

var oneLine = strings.NewReplacer("\n", " ", "\t", " ")

// isControl reports whether a terminal obeys a character rather than shows it.
func isControl(r rune) bool {
	switch r {
	case '\n', '\t':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
}

func escaped(char string) string {
	quoted := strconv.QuoteToASCII(char)
	return quoted[1 : len(quoted)-1]
}
