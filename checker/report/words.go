package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"faultline/checker"
	"faultline/workloads/history"
)

// marks stand beside a verdict's word, for those who cannot see its colour.
var marks = map[checker.Verdict]string{checker.Valid: "✓", checker.Invalid: "✗", checker.Unknown: "?", checker.NotApplicable: "–"}

// mark is the sign of a verdict; a word that is no verdict gets the sign of Unknown.
func mark(v checker.Verdict) string {
	if m, ok := marks[v]; ok {
		return m
	}
	return marks[checker.Unknown]
}

// thousands writes 12047 as 12,047.
func thousands[N int | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}

// count writes a number with its noun: 1 fault, 2 faults.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(n) + " " + noun + "s"
}

// stamp is a moment of the history in milliseconds, as precise as an order of operations
// needs: 12,047.213 ms.
func stamp(ns int64) string {
	if ns == history.Pending {
		return "never"
	}
	us := ns / 1000
	return fmt.Sprintf("%s.%03d ms", thousands(us/1000), us%1000)
}

// seconds is a moment of the history for a human scale: 12.05 s.
func seconds(ns int64) string {
	if ns == history.Pending {
		return "end"
	}
	return strconv.FormatFloat(float64(ns)/1e9, 'f', 2, 64) + " s"
}

// span is a length of time with three digits that matter: 850 µs, 2.13 ms, 41.0 ms, 3.21 s.
func span(d time.Duration) string {
	if d < 0 {
		return "-" + span(-max(d, -math.MaxInt64))
	}
	units := []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}}
	for _, u := range units {
		if d < u.size {
			continue
		}
		value := float64(d) / float64(u.size)
		decimals := 2
		for limit := 9.995; value >= limit && decimals > 0; limit *= 10 {
			decimals--
		}
		return strconv.FormatFloat(value, 'f', decimals, 64) + " " + u.name
	}
	return strconv.FormatInt(int64(d), 10) + " ns"
}

// metric writes a metric of a checker: no decimals that say nothing.
func metric(m checker.Metric) string {
	value := strconv.FormatFloat(m.Value, 'f', -1, 64)
	if whole := int64(m.Value); float64(whole) == m.Value {
		value = thousands(whole)
	} else if m.Value > -1e6 && m.Value < 1e6 {
		value = strconv.FormatFloat(m.Value, 'g', 4, 64)
	}
	return strings.TrimSpace(value + " " + m.Unit)
}

// maxValue bounds a value in running text; the history holds all of it.
const maxValue = 60

// value writes a Value of the history.
func value(raw json.RawMessage) string {
	text := string(raw)
	if text == "" || text == "null" {
		return "absent"
	}
	return shorten(text, maxValue)
}

// shorten cuts a text after most characters and says so by an ellipsis.
func shorten(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// prose gives a clause its capital letter and its full stop.
func prose(clause string) string {
	first, size := utf8.DecodeRuneInString(clause)
	if size == 0 {
		return ""
	}
	text := string(unicode.ToUpper(first)) + clause[size:]
	if last, _ := utf8.DecodeLastRuneInString(text); unicode.IsLetter(last) || unicode.IsDigit(last) {
		text += "."
	}
	return text
}

// argument is what an operation carried or brought back, in the fewest characters: 5 for
// a write, 3→5 for a cas, 3 for a read that returned it, nothing for one that did not.
func argument(op history.Operation) string {
	switch op.F {
	case history.OpRead:
		if op.Type == history.OK {
			return value(op.Output)
		}
		return ""
	case history.OpCAS:
		if old, new, err := history.AsPair(op.Input); err == nil {
			if old == nil {
				return fmt.Sprintf("absent→%d", new)
			}
			return fmt.Sprintf("%d→%d", *old, new)
		}
	case history.OpCreate:
		var made struct{ Session string }
		if json.Unmarshal(op.Output, &made) == nil {
			return brief(made.Session)
		}
		return ""
	case history.OpAcquire, history.OpRelease, history.OpRenew, history.OpDestroy:
		var session string
		if json.Unmarshal(op.Input, &session) == nil {
			return brief(session)
		}
	}
	if len(op.Input) == 0 && op.Type == history.OK && len(op.Output) > 0 {
		return value(op.Output)
	}
	if len(op.Input) == 0 {
		return ""
	}
	return value(op.Input)
}

// brief is the start of a session's ID, enough to find it.
func brief(id string) string { return id[:min(len(id), 8)] }

// short is an operation as on the bar of a diagram: write 5, read → 3, cas 3→5.
func short(op history.Operation) string {
	arg := argument(op)
	if op.F == history.OpRead && op.Type == history.OK {
		arg = "→ " + arg
	}
	return strings.TrimSpace(string(op.F) + " " + arg)
}

// request is what a client asked for, in words.
func request(op history.Operation) string {
	switch op.F {
	case history.OpRead:
		if op.Mode == "" {
			return "read"
		}
		return "read in mode " + string(op.Mode)
	case history.OpCAS:
		if old, new, err := history.AsPair(op.Input); err == nil {
			if old == nil {
				return fmt.Sprintf("set %d if the key was absent", new)
			}
			return fmt.Sprintf("set %d if the value was %d", new, *old)
		}
	}
	return short(op)
}

// outcome is how an operation ended, in words.
func outcome(op history.Operation) string {
	switch op.Type {
	case history.OK:
		if op.F.Reads() {
			return fmt.Sprintf("returned %s at %s", value(op.Output), stamp(op.Return))
		}
		return "acknowledged at " + stamp(op.Return)
	case history.Fail:
		text := fmt.Sprintf("did not happen (%s, answered at %s)", op.Error, stamp(op.Return))
		if len(op.Current) > 0 {
			text += "; the value was " + value(op.Current)
		}
		return text
	}
	return fmt.Sprintf("got no definite answer (%s), so it may have taken effect at any later time, or never", op.Error)
}

// sentence describes one operation of a counterexample.
func sentence(op history.Operation) string {
	who := fmt.Sprintf("process %d", op.Process)
	if op.Node != "" {
		who += " asked " + op.Node + " to " + request(op)
	} else {
		who += " asked to " + request(op)
	}
	return fmt.Sprintf("%s, sent at %s: %s", who, stamp(op.Invoke), outcome(op))
}

// before says which operation of ops was the last to end before ops[i] began: no correct system
// may reverse that order.
func before(ops []history.Operation, i int) string {
	last := -1
	for j, op := range ops {
		if j != i && op.Return < ops[i].Invoke && (last < 0 || op.Return > ops[last].Return) {
			last = j
		}
	}
	if last < 0 {
		return ""
	}
	gap := time.Duration(ops[i].Invoke - ops[last].Return)
	return fmt.Sprintf("it began %s after operation %d was over", span(gap), last+1)
}
