//go:build linux

package disk

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// client is a process that uses the file system in this one's stead. A process that serves a file system must not wait
// in it: killed in such a call it would wait, beyond the reach of any signal, for an answer that only it could give,
// and hold the very device whose end would free it; and as PID 1 keep its pid namespace with it. The client holds the mount's root
// and nothing else, so that it goes when the server does: the device is closed, and its call ends.
type client struct {
	errands *os.File
	answers *bufio.Reader
	answer  *os.File
	gone    chan struct{} // closed when the process has ended
}

// errand is what a client is to do; a line of JSON.
type errand struct {
	Do   string `json:"do"`             // a key of errands
	Fill byte   `json:"fill,omitempty"` // the byte that a probe writes
}

// outcome is its answer; a line of JSON.
type outcome struct {
	Seen   Seen   `json:"seen"`
	Canary Canary `json:"canary"`
	Error  string `json:"error,omitempty"` // why it could not be done at all
}

// The descriptors of a client.
const (
	clientIn, clientOut, clientRoot = 0, 1, 3
)

// startClient executes this program with a command that calls Client. Nobody has to wait for it: where somebody
// waits for every child of this process (as PID 1 must), it is waited for there.
func startClient(root int, command []string) (*client, error) {
	in, errands, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	answer, out, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, errands.Close())
	}
	defer out.Close()
	pid, err := syscall.ForkExec("/proc/self/exe", command, &syscall.ProcAttr{
		Env:   []string{"GOMAXPROCS=1", "GORACE=atexit_sleep_ms=0"}, // under the race detector Close would wait for a second
		Files: []uintptr{in.Fd(), out.Fd(), 2, uintptr(root)},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%v: %w", command, err), errands.Close(), answer.Close())
	}
	c := &client{errands: errands, answer: answer, answers: bufio.NewReader(answer), gone: make(chan struct{})}
	go func() {
		defer close(c.gone)
		_, _ = retry(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) }) // ECHILD: somebody else has
	}()
	return c, nil
}

// do has an errand done.
func (c *client) do(e errand) (o outcome, err error) {
	line, err := json.Marshal(e)
	if err != nil {
		return o, err
	}
	if _, err := c.errands.Write(append(line, '\n')); err != nil {
		return o, fmt.Errorf("the client: %w", err)
	}
	text, err := c.answers.ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return o, errors.New("the client has ended")
	}
	if err != nil {
		return o, fmt.Errorf("the client: %w", err)
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return o, fmt.Errorf("the client: %w", err)
	}
	if o.Error != "" {
		return o, errors.New(o.Error)
	}
	return o, nil
}

// close lets the process end, and waits until it has. The connection is closed, so nothing keeps it.
func (c *client) close() error {
	err := errors.Join(c.errands.Close(), c.answer.Close())
	<-c.gone
	return err
}

// user is the inside of a client.
type user struct {
	root int
	file int // that the last probe wrote, open so that the server still knows it; -1: none
}

var errands = map[string]func(*user, errand) (outcome, error){
	"poll":    (*user).poll,
	"probe":   (*user).probe,
	"release": (*user).release,
	"find":    (*user).find,
}

// Client does the errands that come on standard input, and answers on standard output, until that ends. It is what
// the command of New calls, and not for anybody else.
func Client() error {
	in, out := json.NewDecoder(os.NewFile(clientIn, "errands")), json.NewEncoder(os.NewFile(clientOut, "answers"))
	u := user{root: clientRoot, file: -1}
	for {
		var e errand
		if err := in.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("disk client: errands: %w", err)
		}
		do, ok := errands[e.Do]
		if !ok {
			return fmt.Errorf("disk client: no errand %q", e.Do)
		}
		u.forget()
		o, err := do(&u, e)
		if err != nil {
			o.Error = e.Do + ": " + err.Error()
		}
		if err := out.Encode(o); err != nil {
			return fmt.Errorf("disk client: answers: %w", err)
		}
	}
}

func (u *user) forget() {
	if u.file >= 0 {
		unix.Close(u.file)
		u.file = -1
	}
}

// directory is probeDir, opened through the mount. Descriptors are used as they are, since the runtime's poller
// has no business with them.
func (u *user) directory() (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(u.root, probeDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
}

// poll lets the kernel ask once whether files can be polled: the answer is no, and it does not ask again. Otherwise
// it would ask whenever a program in Go opens a file, as the runtime tries to watch it.
func (u *user) poll(errand) (o outcome, err error) {
	dir, err := u.directory()
	if err != nil {
		return o, err
	}
	defer unix.Close(dir)
	fd, err := retry(func() (int, error) { return unix.Openat(dir, probeFile, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return o, err
	}
	defer unix.Close(fd)
	_, err = retry(func() (int, error) {
		return unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	return o, err
}
