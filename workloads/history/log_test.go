package history

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestALogIsReadBackInTheOrderOfItsTimes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := Create(path)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for p := range Process(8) {
		writers.Go(func() {
			for i := range 200 {
				before := log.Now()
				at, err := log.Add(Event{Process: p, Type: OK, F: "write", Value: Int(int64(i))})
				if err != nil || at < before || at > log.Now() {
					t.Errorf("added at %d, after %d: %v", at, before, err)
				}
			}
		})
	}
	writers.Wait()
	require.NoError(t, log.Close())

	events, truncated, err := ReadFile(path)
	require.NoError(t, err)
	require.False(t, truncated)
	require.Len(t, events, 1600)
	due := map[Process]int64{}
	for _, e := range events {
		n, err := AsInt(e.Value)
		require.NoError(t, err)
		require.Equal(t, due[e.Process], *n, "one process's events keep their order")
		due[e.Process]++
	}
}

func TestALogIsFlushedAsItGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "history.jsonl")
		log, err := Create(path)
		require.NoError(t, err)
		_, err = log.Add(samples[0].event)
		require.NoError(t, err)
		time.Sleep(FlushEvery)
		synctest.Wait()
		events, _, err := ReadFile(path)
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.NoError(t, log.Close())
	})
}

func TestALogDoesNotOverwrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := Create(path)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	_, err = Create(path)
	require.ErrorIs(t, err, os.ErrExist)
}

func TestAClosedLogRefuses(t *testing.T) {
	log, err := Create(filepath.Join(t.TempDir(), "history.jsonl"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.NoError(t, log.Close())
	_, err = log.Add(samples[0].event)
	require.ErrorIs(t, err, os.ErrClosed)
}

func TestAnEventThatIsRefusedLeavesNoGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := Create(path)
	require.NoError(t, err)
	_, err = log.Add(Event{Type: "done"})
	require.Error(t, err)
	require.NoError(t, log.Err())
	_, err = log.Add(samples[0].event)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	events, _, err := ReadFile(path)
	require.NoError(t, err)
	require.Len(t, events, 1)
}

func TestAFullDiskIsRemembered(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here: ", err)
	}
	log := New(full)
	event := samples[0].event
	event.Key = strings.Repeat("k", 1<<16)
	for range 10 { // more than the buffer
		_, err = log.Add(event)
	}
	require.ErrorContains(t, err, "no space left on device")
	require.ErrorContains(t, log.Err(), "no space left on device")
	require.ErrorContains(t, log.Close(), "no space left on device")
}

func lines(ss ...string) string { return strings.Join(ss, "\n") }

func TestReadOfADamagedHistory(t *testing.T) {
	line := func(index, time int) string {
		return fmt.Sprintf(`{"index":%d,"time":%d,"process":0,"type":"ok"}`, index, time)
	}
	for name, c := range map[string]struct {
		text      string
		events    int
		truncated bool
		err       string
	}{
		"empty":                {"", 0, false, ""},
		"whole":                {lines(line(0, 1), line(1, 1), ""), 2, false, ""},
		"cut inside a line":    {lines(line(0, 1), line(1, 2)[:20]), 1, true, ""},
		"cut before the break": {lines(line(0, 1), line(1, 2)), 1, true, ""},
		"space at the end":     {lines(line(0, 1), "  "), 1, false, ""},
		"empty line":           {lines(line(0, 1), "", line(1, 2), ""), 0, false, "2: EOF"},
		"garbage":              {lines(line(0, 1), "\x00\x00", ""), 0, false, "2: invalid character"},
		"lost line":            {lines(line(0, 1), line(2, 2), ""), 0, false, "2: index 2 where 1 is due"},
		"repeated line":        {lines(line(0, 1), line(0, 1), ""), 0, false, "2: index 0 where 1 is due"},
		"clock falls":          {lines(line(0, 5), line(1, 4), ""), 0, false, "2: time 4 is before"},
		"two in a line":        {line(0, 1) + line(1, 2) + "\n", 0, false, "1: more than one"},
	} {
		t.Run(name, func(t *testing.T) {
			events, truncated, err := Read(strings.NewReader(c.text))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Len(t, events, c.events)
			require.Equal(t, c.truncated, truncated)
		})
	}
}

// A line that would take all memory is refused on both sides, in no more memory than a line
// may take.
func TestLinesAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := Create(path)
	require.NoError(t, err)
	long := Event{Process: 0, Type: OK, F: "read", Key: strings.Repeat("k", MaxLine)}
	_, err = log.Add(long)
	require.ErrorContains(t, err, "the most are")
	long.Key = long.Key[:MaxLine-200]
	_, err = log.Add(long)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	events, _, err := ReadFile(path)
	require.NoError(t, err)
	require.Len(t, events, 1)

	endless := io.MultiReader(strings.NewReader(line0), zeroes{}) // never a newline
	_, _, err = Read(endless)
	require.ErrorContains(t, err, "2: a line of more than 4 MiB")
}

const line0 = `{"index":0,"time":1,"process":0,"type":"ok"}` + "\n"

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestReadFileNamesFileAndLine(t *testing.T) {
	_, _, err := ReadFile(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(t.TempDir(), "bad.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{}\n"), 0o600))
	_, _, err = ReadFile(path)
	require.ErrorContains(t, err, "bad.jsonl:1: ")
}

// A history that was cut anywhere, as by kill -9, is readable up to the last whole line.
func TestAHistoryCutAnywhereIsReadable(t *testing.T) {
	var text []byte
	for _, s := range samples {
		text = s.event.Append(text)
	}
	for cut := range len(text) + 1 {
		events, truncated, err := Read(bytes.NewReader(text[:cut]))
		require.NoError(t, err)
		whole := bytes.Count(text[:cut], []byte("\n"))
		require.Len(t, events, whole)
		require.Equal(t, cut > 0 && text[cut-1] != '\n', truncated)
	}
}

// Whatever is read is a history: it is read again to the same, and pairing it and
// collecting its faults may fail but not crash.
func FuzzRead(f *testing.F) {
	var all []byte
	for _, s := range samples {
		all = s.event.Append(all)
	}
	f.Add(all)
	f.Add(all[:len(all)-5])
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var text []byte
		for i := range events {
			text = events[i].Append(text)
		}
		again, truncated, err := Read(bytes.NewReader(text))
		require.NoError(t, err)
		require.False(t, truncated)
		require.Len(t, again, len(events))
		if ops, err := Operations(events); err == nil {
			for _, o := range ops {
				require.LessOrEqual(t, o.Invoke, o.Return)
			}
		}
		_, _, _ = Faults(events) // any answer will do
	})
}
