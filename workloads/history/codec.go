package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

var processNames = map[Process]string{Nemesis: "nemesis", Observer: "observer", Harness: "harness", Runtime: "runtime"}

// Append adds the event's line to b, with the newline. It is written by hand because it
// runs twice per operation inside the measured path; encoding/json costs four times as much.
func (e *Event) Append(b []byte) []byte {
	b = append(b, `{"index":`...)
	b = appendInt(b, e.Index)
	b = append(b, `,"time":`...)
	b = appendInt(b, e.Time)
	b = append(b, `,"process":`...)
	if e.Process < 0 {
		b = appendString(b, processNames[e.Process])
	} else {
		b = appendInt(b, int64(e.Process))
	}
	b = appendField(b, "type", string(e.Type))
	b = appendField(b, "f", e.F)
	b = appendField(b, "key", e.Key)
	b = appendRaw(b, "value", e.Value)
	b = appendField(b, "error", e.Error)
	b = appendField(b, "node", e.Node)
	b = appendField(b, "dc", e.DC)
	b = appendField(b, "mode", e.Mode)
	if e.ModifyIndex != 0 {
		b = append(b, `,"index_at":`...)
		b = strconv.AppendUint(b, e.ModifyIndex, 10)
	}
	b = appendRaw(b, "current", e.Current)
	if e.AgeMS != 0 {
		b = append(b, `,"age_ms":`...)
		b = appendInt(b, e.AgeMS)
	}
	if len(e.Hops) > 0 {
		b = append(b, `,"hops":[`...)
		for i, h := range e.Hops {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"node":`...)
			b = appendString(b, h.Node)
			b = append(b, `,"role":`...)
			b = appendString(b, h.Role)
			b = append(b, `,"ms":`...)
			b = strconv.AppendFloat(b, h.MS, 'f', -1, 64)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	return append(b, '}', '\n')
}

// check refuses an event whose line could not be read back. One such line would make the
// whole history worthless, so it must not be written.
func (e *Event) check() error {
	if !e.Type.known() {
		return fmt.Errorf("history: type %q is none of invoke, ok, fail, info", e.Type)
	}
	if e.Process < 0 && processNames[e.Process] == "" {
		return fmt.Errorf("history: process %d has no name", e.Process)
	}
	for _, raw := range []json.RawMessage{e.Value, e.Current} {
		if len(raw) > 0 && (!json.Valid(raw) || bytes.IndexByte(raw, '\n') >= 0) {
			return fmt.Errorf("history: %s of %q has a value that is not one line of JSON: %q", e.Type, e.F, raw)
		}
	}
	for _, h := range e.Hops {
		if math.IsNaN(h.MS) || math.IsInf(h.MS, 0) {
			return fmt.Errorf("history: a hop through %s took %v ms", h.Node, h.MS)
		}
	}
	return nil
}

// line is an Event as encoding/json sees it.
type line struct {
	Index   *int64          `json:"index"`
	Time    *int64          `json:"time"`
	Process json.RawMessage `json:"process"`
	Type    Type            `json:"type"`
	F       Op              `json:"f"`
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Error   Code            `json:"error"`
	Node    string          `json:"node"`
	DC      string          `json:"dc"`
	Mode    Mode            `json:"mode"`
	IndexAt uint64          `json:"index_at"`
	Current json.RawMessage `json:"current"`
	AgeMS   int64           `json:"age_ms"`
	Hops    []Hop           `json:"hops"`
}

// ParseEvent reads one line. Unknown fields are errors: a history that says more than
// this version understands must not be judged by it.
func ParseEvent(data []byte) (Event, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var l line
	if err := dec.Decode(&l); err != nil {
		return Event{}, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return Event{}, errors.New("more than one JSON value on the line")
	}
	if l.Index == nil || l.Time == nil || l.Process == nil {
		return Event{}, errors.New("index, time or process is missing")
	}
	if *l.Index < 0 || *l.Time < 0 {
		return Event{}, fmt.Errorf("index %d, time %d: neither may be negative", *l.Index, *l.Time)
	}
	if l.AgeMS < 0 {
		return Event{}, fmt.Errorf("age_ms %d: an answer is not from the future", l.AgeMS)
	}
	if *l.Time == Pending {
		return Event{}, fmt.Errorf("time %d stands for what never came", *l.Time)
	}
	if !l.Type.known() {
		return Event{}, fmt.Errorf("type %q is none of invoke, ok, fail, info", l.Type)
	}
	p, err := parseProcess(l.Process)
	if err != nil {
		return Event{}, err
	}
	return Event{Index: *l.Index, Time: *l.Time, Process: p, Type: l.Type, F: l.F, Key: l.Key,
		Value: l.Value, Error: l.Error, Node: l.Node, DC: l.DC, Mode: l.Mode, ModifyIndex: l.IndexAt,
		Current: l.Current, AgeMS: l.AgeMS, Hops: l.Hops}, nil
}

func parseProcess(raw json.RawMessage) (Process, error) {
	for p, name := range processNames {
		if string(raw) == `"`+name+`"` {
			return p, nil
		}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("process %s is neither a number from 0 on nor nemesis, observer, harness, runtime", raw)
	}
	return Process(n), nil
}

func appendInt(b []byte, v int64) []byte { return strconv.AppendInt(b, v, 10) }

func appendField[S ~string](b []byte, name string, value S) []byte {
	if value == "" {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

func appendRaw(b []byte, name string, value json.RawMessage) []byte {
	if len(value) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return append(b, value...)
}

// appendString quotes s as JSON; the quick way is for the plain ASCII that nearly all
// of our strings are.
func appendString[S ~string](b []byte, s S) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				panic(err) // a string always encodes
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
