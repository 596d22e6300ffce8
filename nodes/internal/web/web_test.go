package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

// A request is given up on a connection that lives, before its answer begins or in the middle of it.
// The answer comes late, and must not be taken for that of the request which follows.
func TestALateAnswerIsNobodyElses(t *testing.T) {
	for name, begin := range map[string]bool{"before the answer": false, "within the answer": true} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int64
			late, answered := make(chan struct{}), make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != "slow" {
					_, _ = w.Write(body)
					return
				}
				if begin {
					_, _ = io.WriteString(w, "the answer ")
					w.(http.Flusher).Flush()
				}
				<-late
				_, _ = io.WriteString(w, "to slow")
				close(answered)
			}))
			server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
				if s == http.StateNew {
					connections.Add(1)
				}
			}
			server.Start()
			defer server.Close()
			c := New(nodes.TCP(strings.TrimPrefix(server.URL, "http://")))
			defer c.Close()
			ask := func(ctx context.Context, body string) (string, error) {
				a, err := c.Do(ctx, Request{Method: http.MethodPut, URL: &url.URL{Path: "/"}, Body: body})
				return string(a.Body), err
			}
			got, err := ask(t.Context(), "first")
			require.NoError(t, err)
			require.Equal(t, "first", got)
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = ask(short, "slow")
			require.Equal(t, history.Timeout, nodes.CodeOf(err), "%v", err)
			require.EqualValues(t, 1, connections.Load(), "it was sent on the connection that had been used before")
			close(late)
			<-answered
			for range 5 {
				got, err = ask(t.Context(), "next")
				require.NoError(t, err)
				require.Equal(t, "next", got)
			}
			require.EqualValues(t, 2, connections.Load(), "the connection of the request that was given up is not used again")
		})
	}
}
