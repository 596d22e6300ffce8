package injector

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// socketOf is a socket name of a test's own.
func socketOf(t *testing.T) string {
	return fmt.Sprintf("@faultline-test-%d-%s", os.Getpid(), t.Name())
}

// listenHere runs what answers at a name until the test is over.
func listenHere(t *testing.T, run func(*net.UnixListener) error) (name string) {
	t.Helper()
	name = socketOf(t)
	listener, err := listenUnix(name)
	require.NoError(t, err)
	over := make(chan error, 1)
	go func() { over <- run(listener) }()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		require.NoError(t, <-over, "to be closed is no error")
	})
	return name
}

func openControl(t *testing.T, serve func(io.Reader, io.Writer) error) (name string) {
	return listenHere(t, func(l *net.UnixListener) error {
		return control{listener: l, serve: serve, lifeline: newLifeline(time.Hour, time.Hour)}.run()
	})
}

// shout answers every line in capitals, until in ends.
func shout(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if _, err := fmt.Fprintln(out, strings.ToUpper(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func TestRelayCarriesAStream(t *testing.T) {
	name := openControl(t, shout)
	in, ask := io.Pipe()
	answers, out := io.Pipe()
	over := make(chan error, 1)
	go func() { over <- relay(name, in, out) }()
	lines := bufio.NewReader(answers)
	for _, word := range []string{"one", "two"} { // an answer comes before the next is asked
		_, err := fmt.Fprintln(ask, word)
		require.NoError(t, err)
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, strings.ToUpper(word)+"\n", line)
	}
	require.NoError(t, ask.Close())
	require.NoError(t, <-over)
}

func TestRelayEndsWithWhatItCarries(t *testing.T) {
	name := openControl(t, shout)
	for range 300 {
		var out bytes.Buffer
		require.NoError(t, relay(name, strings.NewReader("all of it\n"), &out), "whoever asked is done")
		require.Equal(t, "ALL OF IT\n", out.String())
	}
}

func TestRelayTellsThatTheInjectorHungUp(t *testing.T) {
	name := openControl(t, func(io.Reader, io.Writer) error { return nil })
	in, _ := io.Pipe()
	require.ErrorContains(t, relay(name, in, io.Discard), "has hung up")
}

func TestManyAreServedAtOnce(t *testing.T) {
	met := make(chan struct{})
	name := openControl(t, func(in io.Reader, _ io.Writer) error {
		select {
		case met <- struct{}{}:
		case <-met:
		}
		_, err := io.Copy(io.Discard, in) // who hangs up before that is told of
		return err
	})
	over := make(chan error, 2)
	for range 2 {
		go func() { over <- relay(name, strings.NewReader(""), io.Discard) }()
	}
	require.NoError(t, <-over)
	require.NoError(t, <-over)
}

func TestANameIsTakenOnce(t *testing.T) {
	_, err := listenUnix(openControl(t, shout))
	require.ErrorContains(t, err, "address already in use")
}

// A pod lives as long as any stream to it does.
func TestControlStreamsHoldTheLifeline(t *testing.T) {
	line := newLifeline(time.Hour, time.Millisecond)
	name := listenHere(t, func(l *net.UnixListener) error {
		return control{listener: l, serve: shout, lifeline: line}.run()
	})
	in, ask := io.Pipe()
	answers, out := io.Pipe()
	over := make(chan error, 1)
	go func() { over <- relay(name, in, out) }()
	fmt.Fprintln(ask, "here")
	_, err := bufio.NewReader(answers).ReadString('\n')
	require.NoError(t, err)
	select {
	case <-line.snapped:
		require.Fail(t, "a stream is open")
	case <-time.After(50 * time.Millisecond):
	}
	require.NoError(t, ask.Close())
	require.NoError(t, <-over)
	<-line.snapped
}
