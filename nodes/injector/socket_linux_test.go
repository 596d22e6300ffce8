package injector

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// socketOf is a socket name of a test's own.
func socketOf(t *testing.T) string {
	return fmt.Sprintf("@faultline-test-%d-%s", os.Getpid(), t.Name())
}

// openDoor listens until the test is over.
func openDoor(t *testing.T, d door) (name string) {
	t.Helper()
	name = socketOf(t)
	listener, err := newDoor(name)
	require.NoError(t, err)
	d.listener = listener
	over := make(chan error, 1)
	go func() { over <- d.run() }()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		require.NoError(t, <-over, "to be closed is no error")
	})
	return name
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
	name := openDoor(t, door{serve: shout})
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
	name := openDoor(t, door{serve: shout})
	for range 300 {
		var out bytes.Buffer
		require.NoError(t, relay(name, strings.NewReader("all of it\n"), &out), "whoever asked is done")
		require.Equal(t, "ALL OF IT\n", out.String())
	}
}

func TestRelayTellsThatTheInjectorHungUp(t *testing.T) {
	name := openDoor(t, door{serve: func(io.Reader, io.Writer) error { return nil }})
	in, _ := io.Pipe()
	require.ErrorContains(t, relay(name, in, io.Discard), "has hung up")
}

func TestManyAreServedAtOnce(t *testing.T) {
	met := make(chan struct{})
	name := openDoor(t, door{serve: func(in io.Reader, _ io.Writer) error {
		select {
		case met <- struct{}{}:
		case <-met:
		}
		_, err := io.Copy(io.Discard, in) // who hangs up before that is told of
		return err
	}})
	over := make(chan error, 2)
	for range 2 {
		go func() { over <- relay(name, strings.NewReader(""), io.Discard) }()
	}
	require.NoError(t, <-over)
	require.NoError(t, <-over)
}

// A process that is going to execute the node is held back until all is ready for it, and is
// followed from when it has been told so.
func TestWhoEntersIsHeldBackUntilAllIsReady(t *testing.T) {
	asked, ready := make(chan int, 1), make(chan struct{})
	var isReady atomic.Bool
	followed := make(chan struct{})
	name := openDoor(t, door{enter: func(pid int) (func(), error) {
		asked <- pid
		<-ready
		isReady.Store(true)
		return func() { close(followed) }, nil
	}})
	entered := make(chan bool, 1)
	go func() {
		if err := enter(name); err != nil {
			t.Error(err)
		}
		entered <- isReady.Load()
	}()
	require.Equal(t, os.Getpid(), <-asked)
	select {
	case <-entered:
		require.Fail(t, "it was let in before all was ready")
	case <-followed:
		require.Fail(t, "it was followed before all was ready")
	case <-time.After(50 * time.Millisecond):
	}
	close(ready)
	require.True(t, <-entered)
	<-followed
}

func TestNobodyNeedsToFollow(t *testing.T) {
	name := openDoor(t, door{enter: func(int) (func(), error) { return nil, nil }})
	require.NoError(t, enter(name))
}

func TestWhoEntersIsToldWhyNot(t *testing.T) {
	name := openDoor(t, door{enter: func(int) (func(), error) {
		return nil, errors.Join(errors.New("no disk"), errors.New("no clock"))
	}})
	require.EqualError(t, enter(name), "the pod is not ready for the node: no disk; no clock")
}

func TestWhoEntersIsNotLetInWithoutAnAnswer(t *testing.T) {
	name := socketOf(t)
	listener, err := newDoor(name)
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close() // as the end of PID 1 does
		}
	}()
	require.ErrorContains(t, enter(name), "the pod's injector")
}

// enterHere makes this program one that enters, and then ends in place of the node.
func enterHere() error { return enter(os.Getenv(doorEnv)) }

const doorEnv = "INJECTOR_TEST_DOOR"

func TestTheOneWhoEntersIsTheOneWhoAsked(t *testing.T) {
	asked := make(chan int, 1)
	name := openDoor(t, door{enter: func(pid int) (func(), error) {
		asked <- pid
		return nil, nil
	}})
	node := exec.Command("/proc/self/exe")
	node.Env = append(os.Environ(), holder+"=enter", doorEnv+"="+name)
	out, err := node.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, node.Process.Pid, <-asked)
}

func TestWhoComesEarlyWaitsForTheDoor(t *testing.T) {
	name := socketOf(t)
	entered := make(chan error, 1)
	go func() { entered <- enter(name) }()
	select {
	case err := <-entered:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	require.Equal(t, name, openDoor(t, door{enter: func(int) (func(), error) { return nil, nil }}))
	require.NoError(t, <-entered)
}

func TestANameIsTakenOnce(t *testing.T) {
	_, err := newDoor(openDoor(t, door{serve: shout}))
	require.ErrorContains(t, err, "address already in use")
}
