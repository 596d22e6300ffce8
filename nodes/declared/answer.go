package declared

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// answers reads what nodes answer to one kind of request.
type answers struct {
	rows  []row
	value Part
	index *Part
}

// row is a Row that is ready to be used.
type row struct {
	Row
	body *regexp.Regexp // nil fits any
}

// kind is what an answer means.
func (a answers) kind(told web.Answer) Kind {
	for _, r := range a.rows {
		if r.Status == told.Status && (r.body == nil || r.body.Match(told.Body)) {
			return r.Is
		}
	}
	return Info
}

// read is the answer to an operation.
func (a answers) read(op nodes.Op, told web.Answer) (nodes.Answer, error) {
	switch kind := a.kind(told); kind {
	case Absent:
		return nodes.Answer{}, nil
	case Mismatch:
		return nodes.Answer{}, nodes.Errorf(history.CASMismatch, "it was answered with the status %d: %s", told.Status, web.Excerpt(told.Body))
	case Fail:
		return nodes.Answer{}, nodes.Errorf(history.Rejected, "it was answered with the status %d: %s", told.Status, web.Excerpt(told.Body))
	case OK:
	default:
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "it was answered with the status %d: %s", told.Status, web.Excerpt(told.Body))
	}
	out := nodes.Answer{Found: true, Value: op.Value}
	var err error
	if op.F == history.OpRead {
		if out.Value, err = a.value.text(told); err != nil {
			return nodes.Answer{}, nodes.Errorf(history.Unknown, "no value in the answer %s: %v", web.Excerpt(told.Body), err)
		}
	}
	if a.index == nil {
		return out, nil
	}
	index, err := a.index.text(told)
	if err == nil {
		out.Index, err = strconv.ParseUint(strings.TrimSpace(index), 10, 64)
	}
	if err == nil && out.Index == 0 {
		err = errors.New("it is 0")
	}
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "no modify index in the answer %s: %v", web.Excerpt(told.Body), err)
	}
	return out, nil
}

// text is what stands at the place.
func (p Part) text(told web.Answer) (found string, err error) {
	switch {
	case p.Header != "":
		values := told.Header.Values(p.Header)
		if len(values) != 1 {
			return "", fmt.Errorf("%d headers %s", len(values), p.Header)
		}
		found = values[0]
	case p.JSON != "":
		var there bool
		if found, there, err = atPointer(told.Body, p.JSON); err != nil {
			return "", err
		}
		if !there {
			return "", fmt.Errorf("nothing at %s", p.JSON)
		}
	default:
		found = string(told.Body)
	}
	if p.Trim {
		found = strings.TrimSpace(found)
	}
	if p.Base64 {
		decoded, err := base64.StdEncoding.DecodeString(found)
		if err != nil {
			return "", err
		}
		found = string(decoded)
	}
	return found, nil
}

// atPointer is the text of a string, number or truth value at a JSON pointer. Null, and what the pointer does not
// lead to, is not there.
func atPointer(body []byte, pointer string) (found string, there bool, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var at any
	if err := decoder.Decode(&at); err != nil {
		return "", false, fmt.Errorf("the body is no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", false, errors.New("more follows the JSON of the body")
	}
	if at, there = follow(at, pointer); !there {
		return "", false, nil
	}
	switch value := at.(type) {
	case nil:
		return "", false, nil
	case string:
		return value, true, nil
	case json.Number:
		return value.String(), true, nil
	case bool:
		return strconv.FormatBool(value), true, nil
	}
	return "", false, fmt.Errorf("what stands at %s is an object or a list", pointer)
}

// follow walks a JSON pointer (RFC 6901).
func follow(at any, pointer string) (any, bool) {
	if pointer == "" {
		return at, true
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch inner := at.(type) {
		case map[string]any:
			next, ok := inner[token]
			if !ok {
				return nil, false
			}
			at = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(inner) || strconv.Itoa(i) != token {
				return nil, false
			}
			at = inner[i]
		default:
			return nil, false
		}
	}
	return at, true
}
