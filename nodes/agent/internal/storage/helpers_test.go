package storage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

func entry(index uint64, data string) *raft.Log {
	return &raft.Log{Index: index, Term: 1 + index/3, Type: raft.LogCommand, Data: []byte(data),
		AppendedAt: time.Unix(int64(index), 7).UTC()}
}

func entries(from, to uint64, data string) []*raft.Log {
	var out []*raft.Log
	for i := from; i <= to; i++ {
		out = append(out, entry(i, fmt.Sprint(data, i)))
	}
	return out
}

// dump is all that a log holds, as text.
func dump(t *testing.T, l *Log) string {
	t.Helper()
	var b strings.Builder
	first, err := l.FirstIndex()
	require.NoError(t, err)
	last, err := l.LastIndex()
	require.NoError(t, err)
	for i := first; i <= last && i > 0; i++ {
		var e raft.Log
		if err := l.GetLog(i, &e); err == raft.ErrLogNotFound {
			continue
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, i, e.Index)
		fmt.Fprintf(&b, "%d=%s ", i, e.Data)
	}
	for _, key := range []string{"term", "vote"} {
		v, err := l.Get([]byte(key))
		require.NoError(t, err)
		fmt.Fprintf(&b, "%s=%x ", key, v)
	}
	return b.String()
}
