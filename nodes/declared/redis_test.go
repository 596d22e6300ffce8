package declared

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/workloads/history"
)

const overRedis = "{name: x, program: /x, port: 6379, api: redis, redis: {fail: [LOADING]}}"

// redisNode answers each command of each connection, "" by cutting the connection.
func redisNode(t *testing.T, answer func(command []string) string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	t.Cleanup(func() { listener.Close() })
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			all.Go(func() {
				defer stop()
				defer conn.Close()
				from := bufio.NewReader(conn)
				for {
					command, err := readCommand(from)
					if err != nil {
						return
					}
					said := answer(command)
					if said == "" {
						return
					}
					_, _ = io.WriteString(conn, said) // a client that has gone says so itself
				}
			})
		}
	})
	return listener.Addr().String()
}

// readCommand reads what encodeCommand has written.
func readCommand(from *bufio.Reader) (command []string, err error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.Trim(line, "*\r\n"))
	if err != nil {
		return nil, err
	}
	for range n {
		word, err := readReply(from)
		if err != nil {
			return nil, err
		}
		command = append(command, word.text)
	}
	return command, nil
}

// tinyRedis is a store that does what the commands of this client ask for.
func tinyRedis() func([]string) string {
	var mu sync.Mutex
	data := map[string]string{}
	return func(c []string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case c[0] == "GET":
			if value, ok := data[c[1]]; ok {
				return "$" + strconv.Itoa(len(value)) + "\r\n" + value + "\r\n"
			}
			return "$-1\r\n"
		case c[0] == "SET" && len(c) == 4 && data[c[1]] != "":
			return "$-1\r\n"
		case c[0] == "SET":
			data[c[1]] = c[2]
			return "+OK\r\n"
		case c[0] == "EVAL" && c[1] == compareAndSet && c[2] == "1":
			if data[c[3]] != c[4] {
				return ":0\r\n"
			}
			data[c[3]] = c[5]
			return ":1\r\n"
		}
		return "-ERR unknown command\r\n"
	}
}

func TestRedisComparesValues(t *testing.T) {
	conn := clientOf(t, overRedis, redisNode(t, tinyRedis()))
	do := func(op nodes.Op) (nodes.Answer, history.Code) {
		t.Helper()
		a, err := conn.Do(t.Context(), op)
		if err == nil {
			return a, ""
		}
		return a, nodes.CodeOf(err)
	}
	get := nodes.Op{F: history.OpRead, Key: "k", Mode: history.ModeDefault}
	for _, step := range []struct {
		op   nodes.Op
		want nodes.Answer
		code history.Code
	}{
		{get, nodes.Answer{}, ""},
		{nodes.Op{F: history.OpCAS, Key: "k", Value: "2", Old: "1"}, nodes.Answer{}, history.CASMismatch},
		{nodes.Op{F: history.OpCAS, Key: "k", Value: "1"}, nodes.Answer{Found: true, Value: "1"}, ""},
		{nodes.Op{F: history.OpCAS, Key: "k", Value: "1"}, nodes.Answer{}, history.CASMismatch},
		{get, nodes.Answer{Found: true, Value: "1"}, ""},
		{nodes.Op{F: history.OpCAS, Key: "k", Value: "2", Old: "1"}, nodes.Answer{Found: true, Value: "2"}, ""},
		{nodes.Op{F: history.OpWrite, Key: "k", Value: "3"}, nodes.Answer{Found: true, Value: "3"}, ""},
		{get, nodes.Answer{Found: true, Value: "3"}, ""},
		{nodes.Op{F: history.OpRead, Key: "k", Mode: history.ModeStale}, nodes.Answer{}, history.BadRequest},
		{nodes.Op{F: history.OpAcquire, Key: "k"}, nodes.Answer{}, history.BadRequest},
	} {
		got, code := do(step.op)
		require.Equal(t, step.want, got, "%+v", step.op)
		require.Equal(t, step.code, code, "%+v", step.op)
	}
	_, err := conn.Observe(t.Context())
	require.NoError(t, err)
}

func TestErrorsOfRedis(t *testing.T) {
	for _, c := range []struct {
		said string
		code history.Code
	}{
		{"-LOADING the data is being loaded\r\n", history.Rejected}, // as the file says
		{"-LOADINGS are something else\r\n", history.Unknown},
		{"-READONLY You can't write against a read only replica.\r\n", history.Unknown},
		{"+QUEUED\r\n", history.Unknown},
		{":1\r\n", history.Unknown},
		{"$2\r\nOK\r\n", history.Unknown},
		{"$-1\r\n", history.Unknown},
		{"*0\r\n", history.Unknown},
		{"+OK\r\n+OK\r\n", history.Unknown},
		{"OK\n", history.Unknown},
		{"$99999999999\r\n", history.Unknown},
		{"", history.ConnectionLost},
	} {
		asked := atomic.Int64{}
		conn := clientOf(t, overRedis, redisNode(t, func([]string) string { asked.Add(1); return c.said }))
		_, err := conn.Do(t.Context(), nodes.Op{F: history.OpWrite, Key: "k", Value: "3"})
		require.Equal(t, c.code, nodes.CodeOf(err), "%q: %v", c.said, err)
		require.EqualValues(t, 1, asked.Load(), "it was sent once")
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	_, err = clientOf(t, overRedis, gone.Addr().String()).Do(t.Context(), nodes.Op{F: history.OpWrite, Key: "k", Value: "3"})
	require.Equal(t, history.Refused, nodes.CodeOf(err))
}

// An answer that comes too late is not taken for that of the next operation.
func TestRedisThatIsLate(t *testing.T) {
	held := make(chan struct{})
	conn := clientOf(t, overRedis, redisNode(t, func(c []string) string {
		if c[1] == "slow" {
			<-held
			return "$4\r\nlate\r\n"
		}
		return "$4\r\nsoon\r\n"
	}))
	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := conn.Do(limited, nodes.Op{F: history.OpRead, Key: "slow", Mode: history.ModeDefault})
	require.Equal(t, history.Timeout, nodes.CodeOf(err))
	close(held)
	got, err := conn.Do(t.Context(), nodes.Op{F: history.OpRead, Key: "quick", Mode: history.ModeDefault})
	require.NoError(t, err)
	require.Equal(t, "soon", got.Value)
}

func FuzzReply(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "-ERR no\r\n", ":12\r\n", "$3\r\nabc\r\n", "$-1\r\n", "$0\r\n\r\n", "*1\r\n", "\r\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		r, err := readReply(bufio.NewReaderSize(strings.NewReader(said), maxRespLine))
		if err != nil {
			require.Zero(t, r)
			return
		}
		if r.kind == respBulk {
			require.True(t, strings.HasPrefix(said, "$"))
			require.Contains(t, said, r.text)
			return
		}
		require.NotContains(t, r.text, "\n")
	})
}

func FuzzCommand(f *testing.F) {
	f.Add("SET", "k1", "7")
	f.Add("", "\r\n", "$3")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		command, err := readCommand(bufio.NewReaderSize(strings.NewReader(encodeCommand([]string{a, b, c})), maxRespLine))
		require.NoError(t, err)
		require.Equal(t, []string{a, b, c}, command)
	})
}
