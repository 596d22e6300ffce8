package consul

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(`[{"LockIndex":0,"Key":"k1","Flags":0,"Value":"NDI=","CreateIndex":5,"ModifyIndex":7}]`), "k1")
	f.Add([]byte(`[{"Key":"k1","Value":null,"ModifyIndex":1}]`), "k1")
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		item, err := parseEntry(body, key)
		require.Equal(t, err == nil, item.Found)
		require.Equal(t, err == nil, item.Index > 0)
	})
}

func FuzzParseSelf(f *testing.F) {
	f.Add([]byte(`{"Raft":{"Boot":"b","State":"Leader","Leader":"s1","Term":1,"Commit":2,"Applied":3,"Last":4}}`))
	f.Add([]byte(`{"Stats":{"raft":{"state":"Leader","term":"1","commit_index":"1","applied_index":"1","last_log_index":"1"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if o, addr, err := parseSelf(body); err != nil {
			require.Zero(t, o)
			require.Empty(t, addr)
		}
	})
}

func FuzzParseMemberAt(f *testing.F) {
	f.Add([]byte(`[{"Name":"s1","Addr":"10.0.0.1"}]`), "10.0.0.1:8300")
	f.Fuzz(func(t *testing.T, body []byte, addr string) {
		if name, err := parseMemberAt(body, addr); err != nil {
			require.Empty(t, name)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("8", "NDI=", `[{"node":"s1","role":"leader","ms":1}]`, "12")
	f.Fuzz(func(t *testing.T, index, value, hops, contact string) {
		h := http.Header{}
		h.Set(nodes.HeaderCurrentIndex, index)
		h.Set(nodes.HeaderCurrentValue, value)
		h.Set(nodes.HeaderLastContact, contact)
		if item, err := parseDisclosure(h); err == nil {
			require.Equal(t, index != "", item.HasCurrent)
			require.Equal(t, item.Index != 0, item.Found)
		}
		if _, err := parseHops(hops); err != nil {
			require.NotEmpty(t, hops)
		}
		if seen, err := parseLastContact(h); err == nil {
			require.GreaterOrEqual(t, seen, seen*0)
		}
	})
}
