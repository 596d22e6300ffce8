package consul

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// parseEntry reads Consul's answer for one key: an array of one entry.
func parseEntry(body []byte, key string) (nodes.Answer, error) {
	entries, err := parseEntries(body)
	if err != nil {
		return nodes.Answer{}, err
	}
	if len(entries) != 1 || entries[0].Key != key {
		return nodes.Answer{}, fmt.Errorf("an answer to a read of %q that is not one entry of it: %s", key, web.Excerpt(body))
	}
	e := entries[0]
	e.Key = ""
	return nodes.Answer{Found: true, Index: e.ModifyIndex, Value: e.Value, Entry: e}, nil
}

// parseEntries reads an array of entries, each with its key.
func parseEntries(body []byte) ([]history.Entry, error) {
	var entries []struct {
		Key                                 string
		Value                               *string // base64; null for an empty value
		CreateIndex, ModifyIndex, LockIndex uint64
		Session                             string
	}
	if err := json.Unmarshal(body, &entries); err != nil {
		return nil, fmt.Errorf("an answer to a read that is no entry, %s: %w", web.Excerpt(body), err)
	}
	all := make([]history.Entry, len(entries))
	for i, e := range entries {
		if e.ModifyIndex == 0 {
			return nil, fmt.Errorf("an entry without a modify index: %s", web.Excerpt(body))
		}
		all[i] = history.Entry{Key: e.Key, CreateIndex: e.CreateIndex, ModifyIndex: e.ModifyIndex, LockIndex: e.LockIndex, Session: e.Session}
		if e.Value == nil {
			continue
		}
		var err error
		if all[i].Value, err = decodeBase64(*e.Value); err != nil {
			return nil, fmt.Errorf("an entry whose value is no base64, %s: %w", web.Excerpt(body), err)
		}
	}
	return all, nil
}

// parseDisclosure reads what a failed compare-and-set found, if the node tells it.
func parseDisclosure(h http.Header) (nodes.Answer, error) {
	if h.Get(nodes.HeaderCurrentIndex) == "" {
		return nodes.Answer{}, nil
	}
	index, err := parseUint(h, nodes.HeaderCurrentIndex)
	if err != nil {
		return nodes.Answer{}, err
	}
	item := nodes.Answer{HasCurrent: true, Found: index != 0, Index: index}
	if item.Value, err = decodeBase64(h.Get(nodes.HeaderCurrentValue)); err != nil {
		return nodes.Answer{}, fmt.Errorf("%s is no base64: %w", nodes.HeaderCurrentValue, err)
	}
	if !item.Found && item.Value != "" {
		return nodes.Answer{}, errors.New("the node discloses a value of a key that it says is absent")
	}
	return item, nil
}

func parseHops(text string) ([]history.Hop, error) {
	if text == "" {
		return nil, nil
	}
	var hops []history.Hop
	if err := json.Unmarshal([]byte(text), &hops); err != nil {
		return nil, fmt.Errorf("%s is %s: %w", nodes.HeaderHops, web.Excerpt([]byte(text)), err)
	}
	return hops, nil
}

func parseLastContact(h http.Header) (time.Duration, error) {
	ms, err := parseUint(h, nodes.HeaderLastContact)
	if err != nil {
		return 0, err
	}
	const never = time.Duration(1<<63 - 1) // Consul tells some 292 years before the first contact
	if ms > uint64(never/time.Millisecond) {
		return never, nil
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// parseUint reads a header; 0 if it is not there.
func parseUint(h http.Header, name string) (uint64, error) {
	text := h.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %s, no number", name, web.Excerpt([]byte(text)))
	}
	return n, nil
}
