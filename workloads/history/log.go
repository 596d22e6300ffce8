package history

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"time"
)

// FlushEvery is how much of a history, in time, a kill -9 of the harness can lose.
const FlushEvery = 50 * time.Millisecond

// Log appends events to a file. Many goroutines may Add; the order of the file is the
// order of the times in it, because both are given under one lock. An invoke is
// stamped before the request leaves and a completion after the answer came, so the
// recorded interval always contains the real one.
type Log struct {
	mu      sync.Mutex
	start   time.Time
	next    int64
	file    *os.File
	out     *bufio.Writer
	sum     hash.Hash // of what went to the file
	scratch []byte
	failed  error
	sealed  bool
	stop    chan struct{}
	stopped sync.WaitGroup
	closing sync.Once
}

// Create starts a history in a new file. Time 0 is now.
func Create(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return New(f), nil
}

// New starts a history at the end of an open file, which from now on is the Log's. Time 0
// is now.
func New(f *os.File) *Log {
	l := &Log{start: time.Now(), file: f, sum: sha256.New(), stop: make(chan struct{})}
	l.out = bufio.NewWriterSize(io.MultiWriter(f, l.sum), 1<<18)
	l.stopped.Go(l.flusher)
	return l
}

// Add gives the event its index and time and writes it. It returns the time. A write
// that fails (a full disk) makes this and every later Add return the error; the lines
// before it stay readable. An event that could not be read back is refused, and only it.
func (l *Log) Add(e Event) (int64, error) {
	if err := e.check(); err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return 0, l.failed
	}
	if l.sealed {
		return 0, fmt.Errorf("history: %w", os.ErrClosed)
	}
	e.Index, e.Time = l.next, int64(time.Since(l.start))
	l.next++
	l.scratch = e.Append(l.scratch[:0])
	if len(l.scratch) > MaxLine {
		l.next--
		return 0, fmt.Errorf("history: %s of %q takes a line of %d bytes; the most are %d", e.Type, e.F, len(l.scratch), MaxLine)
	}
	_, err := l.out.Write(l.scratch)
	l.fail(err)
	return e.Time, l.failed
}

// Now is the time on the history's clock, in nanoseconds since its start.
func (l *Log) Now() int64 { return int64(time.Since(l.start)) }

// At is a moment of this process on the history's clock; 0 if that was before its start.
func (l *Log) At(t time.Time) int64 { return max(0, int64(t.Sub(l.start))) }

// End writes the seal as the last line, and closes the log. What is added later is refused.
func (l *Log) End() error {
	l.mu.Lock()
	l.seal()
	l.mu.Unlock()
	return l.Close()
}

func (l *Log) seal() {
	if l.failed != nil {
		return
	}
	if err := l.out.Flush(); err != nil { // so that all of it is in the sum
		l.fail(err)
		return
	}
	value, err := json.Marshal(Seal{Events: l.next, SHA256: hex.EncodeToString(l.sum.Sum(nil))})
	if err != nil {
		panic(err) // it always encodes
	}
	e := Event{Index: l.next, Time: l.Now(), Process: Harness, Type: Info, F: FSeal, Value: value}
	_, err = l.out.Write(e.Append(nil))
	l.fail(errors.Join(err, l.out.Flush()))
	l.sealed = true
}

// Err is the first failure to write, if any.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close flushes, syncs and closes the file, and returns the first failure of the Log's
// life. What is added later is refused with os.ErrClosed; a second Close does nothing.
func (l *Log) Close() error {
	var err error
	l.closing.Do(func() { err = l.close() })
	return err
}

func (l *Log) close() error {
	close(l.stop)
	l.stopped.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil {
		l.fail(l.out.Flush())
	}
	if l.failed == nil {
		l.fail(l.file.Sync())
	}
	l.fail(l.file.Close())
	err := l.failed
	l.fail(os.ErrClosed)
	return err
}

func (l *Log) flusher() {
	tick := time.NewTicker(FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.mu.Lock()
			if l.failed == nil {
				l.fail(l.out.Flush())
			}
			l.mu.Unlock()
		}
	}
}

func (l *Log) fail(err error) {
	if l.failed == nil && err != nil {
		l.failed = fmt.Errorf("history: %w", err)
	}
}

// ReadFile reads a history. A last line without its newline, which a killed harness
// leaves, is dropped and reported as truncated; any other line that does not parse, an
// index out of turn or a time that falls is an error that names the line.
func ReadFile(path string) (events []Event, truncated bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	events, truncated, err = Read(f)
	if err != nil {
		return nil, false, fmt.Errorf("%s:%w", path, err)
	}
	return events, truncated, nil
}

// Read is ReadFile on any source; its errors begin with the line's number.
func Read(r io.Reader) (events []Event, truncated bool, err error) {
	in, lines := bufio.NewReaderSize(r, 1<<18), newReader()
	var buffer []byte
	for number := 1; ; number++ {
		text, err := readLine(in, buffer[:0])
		if err != nil && err != io.EOF {
			return nil, false, fmt.Errorf("%d: %w", number, err)
		}
		if err == io.EOF {
			return events, len(bytes.TrimSpace(text)) > 0, nil
		}
		buffer = text
		e, err := lines.parse(text)
		if err != nil {
			return nil, false, fmt.Errorf("%d: %w", number, err)
		}
		if e.Index != int64(len(events)) {
			return nil, false, fmt.Errorf("%d: index %d where %d is due", number, e.Index, len(events))
		}
		if n := len(events); n > 0 && e.Time < events[n-1].Time {
			return nil, false, fmt.Errorf("%d: time %d is before the line above", number, e.Time)
		}
		events = append(events, e)
	}
}

// MaxLine is the length of the longest line of a history, in bytes, with its newline. An
// event that would take more is refused.
const MaxLine = 4 << 20

// readLine is the next line with its newline, appended to line, or io.EOF with what there is without one.
func readLine(in *bufio.Reader, line []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > MaxLine {
			return nil, fmt.Errorf("a line of more than %d MiB", MaxLine>>20)
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
