package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"faultline/nodes/pods"
)

// execStream starts a command in a container, and is its standard input and output.
func (e *engine) execStream(ctx context.Context, container string, command []string) (io.ReadWriteCloser, error) {
	exec, err := call(ctx, e, e.limits.call, "preparing the control stream", func(ctx context.Context) (client.ExecCreateResult, error) {
		return e.client.ExecCreate(ctx, container, client.ExecCreateOptions{
			Cmd:          command,
			AttachStdin:  true,
			AttachStdout: true,
			AttachStderr: true,
		})
	})
	if err != nil {
		return nil, err
	}
	attached, err := call(ctx, e, e.limits.call, "opening the control stream", func(ctx context.Context) (client.ExecAttachResult, error) {
		return e.client.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
	})
	if err != nil {
		return nil, err
	}
	out, outWrite := io.Pipe()
	s := &stream{conn: attached.Conn, out: out, ended: make(chan struct{})}
	go func() {
		var complaints pods.Complaints
		_, err := stdcopy.StdCopy(outWrite, &complaints, attached.Reader)
		if err == nil {
			err = io.EOF
		}
		if said := complaints.String(); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		s.why = err
		close(s.ended)
		outWrite.CloseWithError(err)
	}()
	return s, nil
}

// stream is a running exec.
type stream struct {
	conn  net.Conn
	out   *io.PipeReader
	ended chan struct{} // closed when nothing will come any more
	why   error         // known once it has ended
	once  sync.Once
}

func (s *stream) Read(p []byte) (int, error) { return s.out.Read(p) }

// Write fails with what the command has complained of, if that has ended.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.conn.Write(p)
	if err != nil {
		<-s.ended
		err = s.why
	}
	return n, err
}

// Close cuts the connection; the engine then closes the command's standard input.
func (s *stream) Close() error {
	var err error
	s.once.Do(func() {
		s.out.Close() // of which nothing is read any more, or the copy would wait for that
		err = s.conn.Close()
	})
	return err
}
