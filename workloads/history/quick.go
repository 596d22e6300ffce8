package history

import "encoding/json"

// reader reads the lines of one history. Nearly all of them are events of clients, which Append wrote
// in one form; of these it needs neither a decoder nor an allocation each: names are kept once, and
// values lie side by side. Every other line is ParseEvent's.
type reader struct {
	names map[string]string
	bytes []byte // where values go
}

func newReader() *reader { return &reader{names: map[string]string{}} }

func (r *reader) parse(line []byte) (Event, error) {
	if e, ok := r.quick(line); ok {
		return e, nil
	}
	return ParseEvent(line)
}

// quick reads an event just as Append writes it, of a client, with a plain value and without hops. What
// it takes, ParseEvent reads to the same event; it may leave any line to that.
func (r *reader) quick(line []byte) (e Event, ok bool) {
	s := scanner{line, true}
	s.literal(`{"index":`)
	e.Index = s.count()
	s.literal(`,"time":`)
	e.Time = s.count()
	s.literal(`,"process":`)
	e.Process = Process(s.count())
	s.literal(`,"type":"`)
	e.Type = Type(r.name(s.text()))
	if s.field(`,"f":"`) {
		e.F = Op(r.name(s.text()))
	}
	if s.field(`,"key":"`) {
		e.Key = r.name(s.text())
	}
	if s.field(`,"value":`) {
		e.Value = r.keep(s.value())
	}
	if s.field(`,"error":"`) {
		e.Error = Code(r.name(s.text()))
	}
	if s.field(`,"node":"`) {
		e.Node = r.name(s.text())
	}
	if s.field(`,"dc":"`) {
		e.DC = r.name(s.text())
	}
	if s.field(`,"mode":"`) {
		e.Mode = Mode(r.name(s.text()))
	}
	if s.field(`,"index_at":`) {
		e.ModifyIndex = uint64(s.count())
	}
	if s.field(`,"current":`) {
		e.Current = r.keep(s.value())
	}
	if s.field(`,"age_ms":`) {
		e.AgeMS = s.count()
	}
	s.literal("}\n")
	return e, s.ok && len(s.rest) == 0 && e.Type.known()
}

// name is a text that comes again and again.
func (r *reader) name(text []byte) string {
	if known, ok := r.names[string(text)]; ok {
		return known
	}
	if len(r.names) > maxNames {
		return string(text)
	}
	name := string(text)
	r.names[name] = name
	return name
}

const (
	maxNames  = 1 << 16
	valueRoom = 1 << 16 // bytes that values are kept in together
)

// keep copies a value.
func (r *reader) keep(value []byte) json.RawMessage {
	if len(value) > cap(r.bytes)-len(r.bytes) {
		r.bytes = make([]byte, 0, max(valueRoom, len(value)))
	}
	from := len(r.bytes)
	r.bytes = append(r.bytes, value...)
	return r.bytes[from:len(r.bytes):len(r.bytes)]
}

// scanner eats a line from the left. Once something does not fit, ok is false and nothing fits any more.
type scanner struct {
	rest []byte
	ok   bool
}

func (s *scanner) literal(text string) { s.ok = s.field(text) && s.ok }

// field reports whether the rest begins with a text, and eats that.
func (s *scanner) field(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

// count eats a number from 0 on.
func (s *scanner) count() int64 {
	end := 0
	for end < len(s.rest) && s.rest[end] >= '0' && s.rest[end] <= '9' {
		end++
	}
	n, ok := plainInt(s.rest[:end])
	if !ok || n == nil {
		s.ok = false
		return 0
	}
	s.rest = s.rest[end:]
	return *n
}

// text eats the rest of a string without escapes, and its end.
func (s *scanner) text() []byte {
	for i, c := range s.rest {
		switch {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			s.ok = s.ok && len(text) > 0 // Append leaves empty fields out
			return text
		case c == '\\' || c < ' ' || c >= 0x80:
			s.ok = false
			return nil
		}
	}
	s.ok = false
	return nil
}

// value eats an integer, null, a string without escapes, or a list of such or of lists of such.
func (s *scanner) value() []byte {
	all := s.rest
	s.element(2)
	return all[:len(all)-len(s.rest)]
}

func (s *scanner) element(deep int) {
	switch {
	case s.field("null"), s.field(`""`):
	case s.field(`"`):
		s.text()
	case deep > 0 && s.field("["):
		if s.field("]") {
			return
		}
		for s.ok {
			s.element(deep - 1)
			if s.field("]") {
				return
			}
			s.literal(",")
		}
	default:
		s.field("-")
		s.count()
	}
}
