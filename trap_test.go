package faultline

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"faultline/nodes"
	"faultline/nodes/injector"
	"faultline/workloads/history"
)

// trap makes one call of one seam go wrong, the n-th from 1 on. A seam is a place where the
// harness calls what is not its own code: a method, or a line of a stream.
type trap struct {
	seam    string
	n       int
	how     string
	release chan struct{} // of the bubble; closed when what is stuck may go on

	mu     sync.Mutex
	counts map[string]int
	sprung bool
	// harmless is that what did not happen was nothing.
	harmless bool
}

func newTrap(seam, how string, n int) *trap {
	return &trap{seam: seam, how: how, n: n, counts: map[string]int{}}
}

// The ways in which a call can go wrong.
const (
	fails   = "returns an error"
	hangs   = "hangs until its context ends"
	stuck   = "hangs"
	panics  = "panics"
	nothing = "does nothing, and says that it did"

	// Of a client; beside these, every code of an error.
	foreign  = "returns an error that is no *nodes.Error"
	forever  = "fails from then on"
	drops    = "takes effect, and its answer is lost"
	nonsense = "is a number that nobody wrote"
	text     = "is a text that nobody wrote"

	// Of a line of a stream.
	lost    = "is lost"
	garbled = "is garbled"
	replies = "is an error"
	strange = "has another's ID"
	empty   = "says nothing"
	cut     = "is cut in the middle, and the stream with it"
	ends    = "does not come, because the stream ends"
)

var errTrap = errors.New("the trap")

// spring counts a call, and tells how it goes wrong, if it does.
func (t *trap) spring(seam string) (how string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[seam]++
	at := t.counts[seam]
	if seam != t.seam || at < t.n || at > t.n && t.how != forever {
		return ""
	}
	t.sprung = true
	return t.how
}

// call is at the beginning of a method, which returns at once if it is over.
func (t *trap) call(ctx context.Context, seam string) (over bool, err error) {
	switch t.spring(seam) {
	case fails:
		return true, errTrap
	case hangs:
		<-ctx.Done()
		return true, context.Cause(ctx)
	case stuck:
		<-t.release
		return true, errTrap
	case panics:
		panic(errTrap)
	case nothing:
		return true, nil
	}
	return false, nil
}

// operation is a call of a client. A way that is none of the others is the code of its error.
func (t *trap) operation(ctx context.Context, seam string, do func() error) error {
	switch how := t.spring(seam); how {
	case "":
		return do()
	case hangs:
		<-ctx.Done()
		return nodes.Errorf(history.Timeout, "%v", context.Cause(ctx))
	case stuck:
		<-t.release
		return nodes.Errorf(history.Timeout, "late")
	case panics:
		panic(errTrap)
	case foreign:
		return errTrap
	case forever:
		return nodes.Errorf(history.Timeout, "the trap")
	case drops:
		return errors.Join(do(), nodes.Errorf(history.ConnectionLost, "the trap"))
	default:
		return nodes.Errorf(history.Code(how), "the trap")
	}
}

// answer is what a read returns for what it found.
func (t *trap) answer(item nodes.Answer) nodes.Answer {
	switch t.spring("answer to Get") {
	case nonsense:
		return nodes.Answer{Value: "987654321", Found: true, Index: item.Index}
	case text:
		return nodes.Answer{Value: "\x1b[2J\xff{", Found: true, Index: item.Index}
	}
	return item
}

// stream passes on what an injector says, line by line.
func (t *trap) stream(inner io.ReadWriteCloser) io.ReadWriteCloser {
	read, write := io.Pipe()
	go func() {
		lines := bufio.NewScanner(inner)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line, err := t.line(lines.Bytes())
			if len(line) > 0 {
				if _, failed := write.Write(line); failed != nil {
					return
				}
			}
			if err != nil {
				write.CloseWithError(err)
				inner.Close()
				return
			}
		}
		write.CloseWithError(io.EOF)
	}()
	return pipes{read, inner}
}

// line is what becomes of a line, and why the stream ends after it.
func (t *trap) line(line []byte) ([]byte, error) {
	whole := append(bytes.Clone(line), '\n')
	var reply injector.Reply
	if err := json.Unmarshal(line, &reply); err != nil {
		return whole, nil
	}
	switch t.spring("reply") {
	case lost:
		return nil, nil
	case garbled:
		return append(bytes.ToUpper(line[:len(line)/2]), '\n'), nil
	case replies:
		return encoded(injector.Reply{ID: reply.ID, Error: errTrap.Error()}), nil
	case strange:
		reply.ID++
		return encoded(reply), nil
	case empty:
		return encoded(injector.Reply{ID: reply.ID}), nil
	case cut:
		return whole[:len(whole)/2], io.ErrUnexpectedEOF
	case ends:
		return nil, io.EOF
	}
	return whole, nil
}

func encoded(r injector.Reply) []byte {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // it always encodes
	}
	return append(line, '\n')
}
