package injector

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

func openEntries(t *testing.T, enter enterFunc) (name string) {
	return listenHere(t, func(l *net.UnixListener) error { return entries{listener: l, enter: enter}.run() })
}

// A process that is going to execute the node is held back until all is ready for it, and is
// followed from when it has been told so.
func TestWhoEntersIsHeldBackUntilAllIsReady(t *testing.T) {
	asked, ready := make(chan int, 1), make(chan struct{})
	var isReady atomic.Bool
	followed := make(chan struct{})
	name := openEntries(t, func(pid int) (nodes.Launch, func(), error) {
		asked <- pid
		<-ready
		isReady.Store(true)
		return nodes.Launch{}, func() { close(followed) }, nil
	})
	entered := make(chan bool, 1)
	go func() {
		if err := enterOnly(name); err != nil {
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
	name := openEntries(t, func(int) (nodes.Launch, func(), error) { return nodes.Launch{}, nil, nil })
	require.NoError(t, enterOnly(name))
}

func TestWhoEntersIsToldWhyNot(t *testing.T) {
	name := openEntries(t, func(int) (nodes.Launch, func(), error) {
		return nodes.Launch{}, nil, errors.Join(errors.New("no disk"), errors.New("no clock"))
	})
	require.EqualError(t, enterOnly(name), "the pod is not ready for the node: no disk; no clock")
}

func TestWhoEntersIsNotLetInWithoutAnAnswer(t *testing.T) {
	name := socketOf(t)
	listener, err := listenUnix(name)
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			conn.Close() // as the end of PID 1 does
		}
	}()
	require.ErrorContains(t, enterOnly(name), "the pod's injector")
}

// enterHere makes this program one that enters, and then ends in place of the node.
func enterHere() error { return enterOnly(os.Getenv(doorEnv)) }

// enterOnly is enter, without what is to be executed.
func enterOnly(name string) error {
	_, err := enter(name)
	return err
}

const doorEnv = "INJECTOR_TEST_DOOR"

func TestTheOneWhoEntersIsTheOneWhoAsked(t *testing.T) {
	asked := make(chan int, 1)
	name := openEntries(t, func(pid int) (nodes.Launch, func(), error) {
		asked <- pid
		return nodes.Launch{}, nil, nil
	})
	node := exec.Command("/proc/self/exe")
	node.Env = append(os.Environ(), holder+"=enter", doorEnv+"="+name)
	out, err := node.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, node.Process.Pid, <-asked)
}

func TestWhoComesEarlyWaitsForTheDoor(t *testing.T) {
	name := socketOf(t)
	entered := make(chan error, 1)
	go func() { entered <- enterOnly(name) }()
	select {
	case err := <-entered:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	require.Equal(t, name, openEntries(t, func(int) (nodes.Launch, func(), error) { return nodes.Launch{}, nil, nil }))
	require.NoError(t, <-entered)
}

// A node that is not being started does not enter, and each start lets one in.
func TestOnlyWhoIsExpectedEnters(t *testing.T) {
	p := &Pod{}
	for range 2 {
		_, _, err := p.enterExpected(7)
		require.EqualError(t, err, "nobody has said that the node is being started")
		require.NoError(t, p.expect(Expect{}))
		require.NoError(t, p.expect(Expect{}), "it is said again when a stream broke")
		_, _, err = p.enterExpected(7)
		require.NoError(t, err)
	}
	_, _, err := p.enterExpected(7)
	require.Error(t, err)
}

func TestWhoIsToldByInheritance(t *testing.T) {
	for why, want := range map[string]string{"": "", "no disk": "the pod is not ready for the node: no disk"} {
		told, tell, err := os.Pipe()
		require.NoError(t, err)
		var followed atomic.Bool
		go func() {
			follow := admit(func(pid int) (nodes.Launch, func(), error) {
				if why != "" {
					return nodes.Launch{}, nil, errors.New(why)
				}
				return nodes.Launch{}, func() { followed.Store(true) }, nil
			}, 7, tell)
			if follow != nil {
				follow()
			}
			tell.Close()
		}()
		_, err = awaitReady(told)
		if want == "" {
			require.NoError(t, err)
			told.Read(make([]byte, 1)) // its end
			require.True(t, followed.Load())
		} else {
			require.EqualError(t, err, want)
		}
		require.NoError(t, told.Close())
	}
}
