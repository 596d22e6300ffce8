package kv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// MaxList is how long a list may get, in bytes: as long as a value, as Consul's.
const MaxList = 512 << 10

// appended is a list with one element more. A list is a JSON array without spaces, "[1,2]"; no value is an
// empty one.
func appended(list, element []byte) ([]byte, error) {
	if len(list) == 0 {
		list = []byte("[]")
	}
	if !json.Valid(element) {
		return nil, errors.New("what is appended is no JSON value")
	}
	inner, opened := bytes.CutPrefix(list, []byte("["))
	inner, closed := bytes.CutSuffix(inner, []byte("]"))
	inner = bytes.TrimSpace(inner)
	if !opened || !closed || !json.Valid(list) {
		return nil, errors.New("the key holds no list")
	}
	out := bytes.NewBuffer(make([]byte, 0, len(list)+len(element)+1))
	out.WriteByte('[')
	out.Write(inner)
	if len(inner) > 0 {
		out.WriteByte(',')
	}
	if err := json.Compact(out, element); err != nil {
		return nil, err
	}
	out.WriteByte(']')
	if out.Len() > MaxList {
		return nil, fmt.Errorf("the list would be longer than %d bytes", MaxList)
	}
	return out.Bytes(), nil
}
