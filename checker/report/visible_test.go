package report

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain: Grüße, 3→5, 日本 ✓ \\x1b":             "plain: Grüße, 3→5, 日本 ✓ \\x1b",
		"two\nlines,\ta tab":                        "two\nlines,\ta tab",
		"\x1b[2J\x1b]0;title\a":                     `\x1b[2J\x1b]0;title\a`,
		"over\rwritten\b\b\x7f\x00":                 `over\rwritten\b\b\x7f\x00`,
		"\u009b31m and \u0080":                      `\u009b31m and \u0080`,
		"raw \x9b31m \xff":                          `raw \x9b31m \xff`,
		"\u202a\u202b\u202c\u202d\u202e":            `\u202a\u202b\u202c\u202d\u202e`,
		"\u2066\u2067\u2068\u2069":                  `\u2066\u2067\u2068\u2069`,
		"\u200e\u200f\u061c\u2028\u2029\ufffd kept": "\\u200e\\u200f\\u061c\\u2028\\u2029\ufffd kept",
	} {
		require.Equal(t, want, Visible(text))
	}
	require.Equal(t, `one line \x1b[A of three`, VisibleLine("one\nline\t\x1b[A\nof three"))
}

func requireHarmless(t *testing.T, shown string) {
	t.Helper()
	require.True(t, utf8.ValidString(shown), "%q", shown)
	require.False(t, strings.ContainsFunc(shown, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
	}), "%q", shown)
}

func FuzzVisible(f *testing.F) {
	f.Add("\x1b[2J")
	f.Add("\u009b\x9b\xc2")
	f.Add("\u202e\u2066 a\n\tb")
	f.Fuzz(func(t *testing.T, text string) {
		shown := Visible(text)
		requireHarmless(t, shown)
		require.Equal(t, shown, Visible(shown), "what is visible stays as it is")
		require.Equal(t, strings.Count(text, "\n"), strings.Count(shown, "\n"))
		require.NotContains(t, VisibleLine(text), "\n")
	})
}
