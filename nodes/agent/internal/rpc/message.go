// Package rpc carries calls between agents: one TCP connection to each peer, many
// streams on it (hashicorp/yamux), one call at a time on a stream, as Consul does.
//
//	pool := rpc.NewPool(dial, log)
//	answer, err := pool.Call(ctx, "10.0.0.2:8300", rpc.Request{Method: "kv.read", Body: body})
//
// An error of Call is a *nodes.Error whose code reports whether the call may have been
// carried out. The package never retries.
//
// It is not for deciding whom to call, or whether to retry; see package agent.
package rpc

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"faultline/workloads/history"
)

// Request is one call.
type Request struct {
	Method string
	// Remaining is how long the caller waits. It is a duration, as clocks of two nodes differ.
	Remaining time.Duration
	// Hold is how long the callee may wait for a leader.
	Hold time.Duration
	// Final forbids the callee to forward.
	Final bool
	// DC is the datacenter whose servers are to answer; empty: the callee's.
	DC string
	// Forwards is how often the call may be forwarded from here on, so that none goes round forever.
	Forwards int
	// Boundless is a defect of the caller: the callee is not told how long it waits.
	Boundless bool
	Body      []byte
}

// Response is its answer: a Body, or a Code and Text.
type Response struct {
	Code history.Code
	Text string
	Hops []history.Hop
	Body []byte
}

// MaxMessage bounds a message; a longer length prefix means that the stream is garbage.
const MaxMessage = 64 << 20

// handle keeps strings and byte slices apart on the wire.
func handle() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.RawToString = true
	h.WriteExt = true
	return h
}

var msgpack = handle()

// Encode is v as msgpack. v is one of the plain structs that agents exchange, which
// always encode; anything else is a mistake in this program.
func Encode(v any) []byte {
	var b []byte
	if err := codec.NewEncoderBytes(&b, msgpack).Encode(v); err != nil {
		panic(fmt.Errorf("rpc: %T does not encode: %w", v, err))
	}
	return b
}

// Decode reads msgpack into v. Damaged bytes are an error.
func Decode(data []byte, v any) error {
	return codec.NewDecoderBytes(data, msgpack).Decode(v)
}

// frame is v's bytes behind their length, ready to be written at once.
func frame(v any) ([]byte, error) {
	body := Encode(v)
	if len(body) > MaxMessage {
		return nil, fmt.Errorf("rpc: a message of %d bytes", len(body))
	}
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body))), body...), nil
}

// readFrame reads one frame into v.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxMessage {
		return fmt.Errorf("rpc: a message of %d bytes", n)
	}
	body, err := readN(r, int(n))
	if err != nil {
		return err
	}
	return Decode(body, v)
}

// readN reads n bytes, in steps, so that memory follows what arrives and not what the
// length claims.
func readN(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	var b []byte
	for len(b) < n {
		at := len(b)
		b = append(b, make([]byte, min(step, n-at))...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}
