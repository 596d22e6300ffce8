package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes/pods"
)

// execStream starts a command in a container, and is its standard input and output.
func (e *engine) execStream(ctx context.Context, container string, command []string) (io.ReadWriteCloser, error) {
	exec, err := call(ctx, e, e.limits.call, "preparing the control stream", func(ctx context.Context) (*dc.Exec, error) {
		return e.client.CreateExec(dc.CreateExecOptions{
			Container:    container,
			Cmd:          command,
			AttachStdin:  true,
			AttachStdout: true,
			AttachStderr: true,
			Context:      ctx,
		})
	})
	if err != nil {
		return nil, err
	}
	s := &stream{}
	var inRead *io.PipeReader
	var outWrite *io.PipeWriter
	inRead, s.in = io.Pipe()
	s.out, outWrite = io.Pipe()
	s.waiter, err = call(ctx, e, e.limits.call, "opening the control stream", func(ctx context.Context) (dc.CloseWaiter, error) {
		return e.client.StartExecNonBlocking(exec.ID, dc.StartExecOptions{
			InputStream:  inRead,
			OutputStream: outWrite,
			ErrorStream:  &s.complaints,
			Context:      ctx,
		})
	})
	if err != nil {
		return nil, errors.Join(err, s.in.Close(), s.out.Close()) // should it open yet, it ends at once
	}
	go func() {
		err := s.waiter.Wait()
		if err == nil {
			err = io.EOF
		}
		if said := s.complaints.String(); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		outWrite.CloseWithError(err)
		inRead.CloseWithError(err)
	}()
	return s, nil
}

// stream is a running exec.
type stream struct {
	in         *io.PipeWriter
	out        *io.PipeReader
	waiter     dc.CloseWaiter
	complaints pods.Complaints
	once       sync.Once
}

func (s *stream) Read(p []byte) (int, error)  { return s.out.Read(p) }
func (s *stream) Write(p []byte) (int, error) { return s.in.Write(p) }

// Close cuts the connection; the engine then closes the command's standard input.
func (s *stream) Close() error {
	var err error
	s.once.Do(func() {
		err = errors.Join(s.in.Close(), s.out.Close(), s.waiter.Close())
	})
	return err
}
