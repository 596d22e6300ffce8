//go:build linux

package space

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"faultline/nodes"
	"faultline/nodes/injector"
)

// run is PID 1 of a pod. It ends, and with it all of the pod, when the harness has closed
// one of its streams.
func (p Pod) run() error {
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return fmt.Errorf("pod of %s: its network device did not come: %w", p.Name, err)
	}
	if err := p.settle(); err != nil {
		return fmt.Errorf("pod of %s: %w", p.Name, err)
	}
	for fd := controlFD; fd < controlFD+podFDs; fd++ {
		unix.CloseOnExec(fd)
	}
	inside, err := injector.NewPod(injector.Options{Data: DataDir, Rights: p.Rights})
	if err != nil {
		return fmt.Errorf("pod of %s: %w", p.Name, err)
	}
	k := supervisor{
		orders: json.NewDecoder(os.NewFile(supervisorFD, "supervisor")),
		events: json.NewEncoder(os.NewFile(supervisorFD, "supervisor")),
		log:    os.NewFile(logFD, "log"),
		env:    []string{"PATH=/bin", "HOME=/", "HOSTNAME=" + p.Name},
		admit:  inside.Admit,
	}
	over := make(chan error, 3)
	control := os.NewFile(controlFD, "control")
	go func() { over <- inside.Serve(control, control) }()
	go func() { over <- injector.Reap(context.Background(), k.reaped) }()
	go func() { over <- k.run() }()
	return <-over
}

// settle makes the pod's network, name and file system.
func (p Pod) settle() error {
	if err := up("lo"); err != nil {
		return err
	}
	if err := setAddr(deviceName, p.Addr.String()); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(p.Name)); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	return p.enterRoot()
}

// supervisor starts the node's process and tells how it ends.
type supervisor struct {
	orders *json.Decoder
	env    []string
	log    *os.File
	admit  func(pid int, launch nodes.Launch, to io.Writer) // of the injector: see injector.BecomeTold

	mu     sync.Mutex // held while a process starts, so that its end is not met before its pid
	events *json.Encoder
	pid    int // of the node, 0 if there is none
}

func (k *supervisor) run() error {
	if err := k.tell(Event{Kind: Ready, At: time.Now()}); err != nil {
		return err
	}
	for {
		var o Order
		err := k.orders.Decode(&o)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("orders: %w", err)
		}
		if err := k.start(o.Start); err != nil {
			return err
		}
	}
}

func (k *supervisor) tell(e Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tellLocked(e)
}

func (k *supervisor) tellLocked(e Event) error {
	if err := k.events.Encode(e); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	return nil
}

func (k *supervisor) failLocked(why string) error {
	return k.tellLocked(Event{Kind: Failed, Text: why, At: time.Now()})
}

func (k *supervisor) start(launch nodes.Launch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pid != 0 {
		return k.failLocked(fmt.Sprintf("process %d of the node is still there", k.pid))
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return k.failLocked(err.Error())
	}
	defer nothing.Close() // was only read
	at := time.Now()      // the node's first instruction is later
	told, tell, err := os.Pipe()
	if err != nil {
		return k.failLocked(err.Error())
	}
	defer told.Close()
	process, err := os.StartProcess(injector.Path, []string{injector.Path, "node"},
		&os.ProcAttr{Dir: "/", Env: k.env, Files: []*os.File{nothing, k.log, k.log, entryFD: told}})
	if err != nil {
		return errors.Join(k.failLocked(err.Error()), tell.Close())
	}
	pid := process.Pid
	k.pid = pid
	go func() {
		defer tell.Close()
		k.admit(pid, launch, tell)
	}()
	if err := process.Release(); err != nil { // PID 1 waits for everybody
		return err
	}
	return k.tellLocked(Event{Kind: Started, PID: k.pid, At: at})
}

// reaped is told of every process of the pod that has ended.
func (k *supervisor) reaped(pid int, status unix.WaitStatus) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if pid != k.pid {
		return nil
	}
	k.pid = 0
	e := Event{Kind: Ended, PID: pid, At: time.Now()}
	if status.Signaled() {
		e.Signal = signalName(status.Signal())
	} else {
		e.Code = status.ExitStatus()
	}
	return k.tellLocked(e)
}

func signalName(signal unix.Signal) string {
	if name := unix.SignalName(signal); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", signal) // of real time
}
