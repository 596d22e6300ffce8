package history

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sealed is a history as a Log writes it.
func sealed(t *testing.T, events ...Event) []Event {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.jsonl")
	log, err := Create(path)
	require.NoError(t, err)
	for _, e := range events {
		_, err := log.Add(e)
		require.NoError(t, err)
	}
	require.NoError(t, log.End())
	_, err = log.Add(samples[0].event)
	require.ErrorIs(t, err, os.ErrClosed, "the seal is the last line")
	read, truncated, err := ReadFile(path)
	require.NoError(t, err)
	require.False(t, truncated)
	require.Len(t, read, len(events)+1)
	return read
}

func TestASealTellsWhatWasDone(t *testing.T) {
	var all []Event
	for _, s := range samples {
		all = append(all, s.event)
	}
	whole := sealed(t, all...)
	require.NoError(t, CheckSeal(whole))
	require.NoError(t, CheckSeal(sealed(t)), "an empty history has one too")

	renumber := func(events []Event) []Event {
		for i := range events {
			events[i].Index = int64(i)
		}
		return events
	}
	for name, c := range map[string]struct {
		edit func([]Event) []Event
		says string
	}{
		"the seal is gone": {func(e []Event) []Event { return e[:len(e)-1] }, ErrUnsealed.Error()},
		"a line is gone":   {func(e []Event) []Event { return renumber(slices.Delete(e, 1, 2)) }, "sealed with 6 events, and has 5"},
		"a line was added": {func(e []Event) []Event { return renumber(slices.Insert(e, 2, e[1])) }, "sealed with 6 events, and has 7"},
		"a value was changed": {func(e []Event) []Event {
			e[0].Value = Int(8)
			return e
		}, "something in it was changed"},
		"two lines were swapped": {func(e []Event) []Event { e[0], e[1] = e[1], e[0]; return renumber(e) }, "something in it was changed"},
		"two seals":              {func(e []Event) []Event { return renumber(append(e, e[len(e)-1])) }, "a seal that is not the last line"},
		"a seal that is none": {func(e []Event) []Event {
			e[len(e)-1].Value = json.RawMessage(`7`)
			return e
		}, "a seal that cannot be read"},
		"nothing": {func(e []Event) []Event { return nil }, ErrUnsealed.Error()},
	} {
		require.ErrorContains(t, CheckSeal(c.edit(slices.Clone(whole))), c.says, name)
	}
}

func TestTimesOfAProcessAreOnTheHistorysClock(t *testing.T) {
	log, err := Create(filepath.Join(t.TempDir(), "history.jsonl"))
	require.NoError(t, err)
	require.Zero(t, log.At(time.Now().Add(-time.Hour)), "what came before it")
	before := log.Now()
	at := log.At(time.Now())
	require.True(t, before <= at && at <= log.Now())
	require.NoError(t, log.Close())
}

// Only a history as it was written keeps its seal.
func FuzzCheckSeal(f *testing.F) {
	var text []byte
	for _, s := range samples {
		text = s.event.Append(text)
	}
	f.Add(text)
	f.Add([]byte(`{"index":0,"time":1,"process":"harness","type":"info","f":"seal","value":{"events":0,"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, _, err := Read(bytes.NewReader(data))
		if err != nil || CheckSeal(events) != nil {
			return
		}
		require.Error(t, CheckSeal(events[:len(events)-1]))
	})
}
