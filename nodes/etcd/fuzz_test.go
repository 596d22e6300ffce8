package etcd

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

func FuzzParseRange(f *testing.F) {
	f.Add([]byte(`{`+someHeader+`,"kvs":[{"key":"azE=","mod_revision":"5","value":"NDI="}],"count":"1"}`), "k1")
	f.Add([]byte(`{`+someHeader+`}`), "k1")
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		var answer rangeAnswer
		if parse(body, &answer) != nil {
			return
		}
		item, err := answer.item(key)
		require.Equal(t, item.Found, item.Index > 0)
		if err != nil {
			require.Equal(t, nodes.Answer{}, item)
		}
	})
}

func FuzzParseTxn(f *testing.F) {
	f.Add([]byte(`{` + someHeader + `,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"7"}}}]}`))
	f.Add([]byte(`{` + someHeader + `,"responses":[{"response_range":{"kvs":[{"key":"azE=","mod_revision":"6","value":"MQ=="}]}}]}`))
	f.Add([]byte(`{` + someHeader + `,"responses":[{"response_txn":{"header":{},"succeeded":true}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer txnAnswer
		if parse(body, &answer) != nil {
			return
		}
		item, err := answer.current("k1")
		require.Equal(t, err == nil, item.HasCurrent)
		done, err := answer.eitherSucceeded()
		require.False(t, done && err != nil)
	})
}

func FuzzParseKeepAlive(f *testing.F) {
	f.Add([]byte(`{"result":{`+someHeader+`,"ID":"99","TTL":"2"}}`), int64(99))
	f.Add([]byte(`{"error":{"message":"etcdserver: no leader"}}`), int64(99))
	f.Fuzz(func(t *testing.T, body []byte, lease int64) {
		ttl, failed, err := parseKeepAlive(body, lease)
		require.GreaterOrEqual(t, ttl, int64(0))
		if failed != nil || err != nil {
			require.Zero(t, ttl)
		}
	})
}

func FuzzParseVars(f *testing.F) {
	f.Add([]byte(varsOf("StateLeader", 5, 92, `"10":{"match":97}`).answer))
	f.Add([]byte(`{"raft.status":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseVars(body)
		require.Equal(t, err == nil, s.State != "")
		require.Equal(t, err == nil, s.ID != 0)
	})
}

func FuzzParseMembers(f *testing.F) {
	f.Add([]byte(threeMembers))
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer membersAnswer
		if parse(body, &answer) != nil || checkMembers(answer.Members) != nil {
			return
		}
		require.NotEmpty(t, clusterOf(answer.Members, nil))
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("8e9e05c52164694d")
	f.Add("0")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := parseID(text)
		if err != nil {
			return
		}
		again, err := parseID(hex(id))
		require.NoError(t, err)
		require.Equal(t, id, again)
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add([]byte("etcd Version: 3.6.12\nGit SHA: Not provided\n"))
	f.Add([]byte("{\"level\":\"info\"}\netcd Version: 3.4.23\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		major, minor, err := parseVersion(said)
		require.GreaterOrEqual(t, min(major, minor), 0)
		if err != nil {
			require.Zero(t, major+minor)
		}
	})
}

// FuzzClassify: only what stands in the table is definite.
func FuzzClassify(f *testing.F) {
	f.Add(400, []byte(`{"code":3,"message":"etcdserver: key is not provided"}`))
	f.Add(503, []byte(`{"error":"etcdserver: no leader","code":14}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		err := classify(web.Answer{Status: status, Body: body})
		if !err.Code.Definite() {
			return
		}
		var said failure
		require.NoError(t, json.Unmarshal(body, &said))
		require.NotEqual(t, history.Unknown, texts[said.Message]+texts[said.Text])
	})
}
