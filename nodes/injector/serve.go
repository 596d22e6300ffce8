package injector

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"faultline/nodes/faults"
)

// Handlers are what serve does for each command.
type Handlers struct {
	Apply  func(State) (faults.ProcessState, error)
	Expect func(Expect) error
	Probe  func(Probe) (Attempts, error)
	Heard  func(Heard) (Hearing, error)
	Echo   func(Echo) (Echoes, error)
}

// Attempts is how the connections of a Probe ended; its fields are those of Reply.
type Attempts struct {
	TCP   map[netip.Addr]faults.TCPResult
	Ports map[netip.Addr]map[uint16]faults.PortMeasurement
}

// Hearing is what a pod can tell, for a Heard; its fields are those of Reply.
type Hearing struct {
	Heard   []netip.Addr
	Trains  map[netip.Addr]faults.TrainMeasurement
	Process faults.ProcessState
	Overrun int
	Clock   *faults.ClockMeasurement
	Disk    *faults.DiskMeasurement
	Ports   map[netip.Addr]map[uint16]faults.PortMeasurement
}

// Serve carries out the commands of in, and answers on out, until in ends. States are
// applied one after the other, as they come; probes run beside them, since a probe of a
// dropped link takes as long as its timeout.
func Serve(in io.Reader, out io.Writer, h Handlers) error {
	var probes sync.WaitGroup
	defer probes.Wait()
	answer := answers{out: out}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		request, err := ParseRequest(lines.Bytes())
		switch {
		case err != nil:
			answer.send(Reply{ID: request.ID, Error: err.Error()})
		case request.Probe != nil:
			probes.Go(func() { answer.send(h.handle(request)) })
		default:
			answer.send(h.handle(request))
		}
		if err := answer.failed(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (h Handlers) handle(r Request) Reply {
	reply := Reply{ID: r.ID}
	began := time.Now()
	var err error
	switch {
	case r.Apply != nil:
		var process faults.ProcessState
		process, err = h.Apply(*r.Apply)
		reply.Process = &process
	case r.Expect != nil:
		err = h.Expect(*r.Expect)
	case r.Probe != nil:
		var attempts Attempts
		attempts, err = h.Probe(*r.Probe)
		reply.TCP, reply.Ports = attempts.TCP, attempts.Ports
	case r.Echo != nil:
		var seen Echoes
		seen, err = h.Echo(*r.Echo)
		reply.Echo = &seen
	case r.Heard != nil:
		var hearing Hearing
		hearing, err = h.Heard(*r.Heard)
		reply.Heard, reply.Trains, reply.Process, reply.Overrun = hearing.Heard, hearing.Trains, &hearing.Process, hearing.Overrun
		reply.Clock, reply.Disk, reply.Ports = hearing.Clock, hearing.Disk, hearing.Ports
	}
	reply.Micros = time.Since(began).Microseconds()
	if err != nil {
		reply.Error = err.Error()
	}
	return reply
}

// answers writes replies, a line each, for many goroutines.
type answers struct {
	mu  sync.Mutex
	out io.Writer
	err error
}

func (a *answers) send(r Reply) {
	line, err := json.Marshal(r)
	if err != nil {
		err = fmt.Errorf("reply %d does not encode: %w", r.ID, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		_, err = a.out.Write(append(line, '\n'))
	}
	a.err = errors.Join(a.err, err)
}

func (a *answers) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}
