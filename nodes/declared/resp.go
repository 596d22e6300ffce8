package declared

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// RESP2, as far as GET, SET and EVAL need it (https://redis.io/docs/latest/develop/reference/protocol-spec/).

// respKind is the kind of a reply.
type respKind byte

const (
	respSimple  respKind = '+'
	respError   respKind = '-'
	respInteger respKind = ':'
	respBulk    respKind = '$'
	respNil     respKind = '_'
)

// reply is one reply of a node. text has no line break, but for a bulk string.
type reply struct {
	kind respKind
	text string
}

func (r reply) String() string {
	if r.kind == respNil {
		return "nil"
	}
	return fmt.Sprintf("%c%q", r.kind, r.text)
}

// protocolError says that what came is no reply.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return "no reply of Redis: " + e.text }

const (
	maxRespLine = 64 << 10
	maxRespBulk = 16 << 20
)

// respConn is a connection on which a request follows a reply.
type respConn struct {
	net.Conn
	reader *bufio.Reader
}

func newRespConn(conn net.Conn) *respConn {
	return &respConn{conn, bufio.NewReaderSize(conn, maxRespLine)}
}

func (c *respConn) ask(command []string) (reply, error) {
	if _, err := io.WriteString(c.Conn, encodeCommand(command)); err != nil {
		return reply{}, err
	}
	r, err := readReply(c.reader)
	if err == nil && c.reader.Buffered() > 0 {
		err = &protocolError{"more than one came"}
	}
	return r, err
}

// encodeCommand is an array of bulk strings.
func encodeCommand(command []string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(word), word)
	}
	return out.String()
}

func readReply(from *bufio.Reader) (reply, error) {
	raw, err := from.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return reply{}, &protocolError{"a line that does not end"}
	}
	if err != nil {
		return reply{}, err
	}
	line, ended := strings.CutSuffix(string(raw), "\r\n")
	if !ended || line == "" {
		return reply{}, &protocolError{strconv.Quote(string(raw))}
	}
	r := reply{respKind(line[0]), line[1:]}
	switch r.kind {
	case respSimple, respError:
		return r, nil
	case respInteger:
		if _, err := strconv.ParseInt(r.text, 10, 64); err != nil {
			return reply{}, &protocolError{strconv.Quote(line)}
		}
		return r, nil
	case respBulk:
		return readBulk(from, r.text)
	}
	return reply{}, &protocolError{strconv.Quote(line)}
}

// readBulk reads a bulk string of a length, or nil for -1.
func readBulk(from io.Reader, length string) (reply, error) {
	if length == "-1" {
		return reply{kind: respNil}, nil
	}
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > maxRespBulk {
		return reply{}, &protocolError{"a string of the length " + strconv.Quote(length)}
	}
	bytes := make([]byte, n+2)
	if _, err := io.ReadFull(from, bytes); err != nil {
		return reply{}, err
	}
	text, ended := strings.CutSuffix(string(bytes), "\r\n")
	if !ended {
		return reply{}, &protocolError{"a string that is longer than it says"}
	}
	return reply{respBulk, text}, nil
}
