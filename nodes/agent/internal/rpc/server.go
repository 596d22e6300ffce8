package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Handler answers one call. ctx ends when the caller has given up or is gone.
type Handler func(ctx context.Context, request Request) Response

// noDeadline is what a request that states none is given.
const noDeadline = time.Minute

// Serve answers the calls of one connection until it ends or ctx does; then it waits
// for the handlers that run.
func Serve(ctx context.Context, conn net.Conn, limits Limits, handler Handler, log *slog.Logger) error {
	mux, err := yamux.Server(conn, sessionConfig(log, limits))
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel()
	// yamux's Close wakes every stream, and so the loops below.
	stop := context.AfterFunc(ctx, func() { closeQuietly(mux) })
	defer stop()
	defer closeQuietly(mux)
	for {
		stream, err := mux.Accept()
		if err != nil {
			return nil // the connection is over, which is how connections end
		}
		streams.Go(func() { serveStream(ctx, stream, handler, log) })
	}
}

func serveStream(ctx context.Context, stream net.Conn, handler Handler, log *slog.Logger) {
	defer closeQuietly(stream)
	for {
		var request Request
		if err := readFrame(stream, &request); err != nil {
			return // the caller closed the stream, or sent garbage: both end it
		}
		response := answer(ctx, request, handler)
		message, err := frame(response)
		if err != nil {
			log.Error("rpc: answer does not fit", "method", request.Method, "error", err)
			return
		}
		if _, err := stream.Write(message); err != nil {
			return
		}
	}
}

func answer(ctx context.Context, request Request, handler Handler) Response {
	remaining := request.Remaining
	if remaining <= 0 {
		remaining = noDeadline
	}
	ctx, cancel := context.WithTimeout(ctx, remaining)
	defer cancel()
	return handler(ctx, request)
}
