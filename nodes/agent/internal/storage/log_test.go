package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"faultline/nodes/agent/internal/storage/fakedisk"
)

func TestAnEmptyLog(t *testing.T) {
	l, err := OpenLog(fakedisk.New(), "raft")
	require.NoError(t, err)
	first, err := l.FirstIndex()
	require.NoError(t, err)
	require.Zero(t, first)
	require.ErrorIs(t, l.GetLog(1, new(raft.Log)), raft.ErrLogNotFound)
	value, err := l.Get([]byte("vote"))
	require.NoError(t, err)
	require.Empty(t, value)
	number, err := l.GetUint64([]byte("term"))
	require.NoError(t, err)
	require.Zero(t, number)
	require.NoError(t, l.StoreLogs(nil))
	require.NoError(t, l.DeleteRange(1, 10))
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, l.StoreLog(entry(1, "")), errClosed)
}

func TestAnEntryComesBackWhole(t *testing.T) {
	d := fakedisk.New()
	l, err := OpenLog(d, "raft")
	require.NoError(t, err)
	want := raft.Log{Index: 7, Term: 3, Type: raft.LogConfiguration, Data: []byte("data"),
		Extensions: []byte("more"), AppendedAt: time.Date(2024, 2, 29, 1, 2, 3, 4, time.UTC)}
	require.NoError(t, l.StoreLog(&want))
	empty := raft.Log{Index: 8}
	require.NoError(t, l.StoreLog(&empty))
	require.NoError(t, l.Close())
	l, err = OpenLog(d, "raft")
	require.NoError(t, err)
	var got raft.Log
	require.NoError(t, l.GetLog(7, &got))
	require.Equal(t, want, got)
	require.NoError(t, l.GetLog(8, &got))
	require.Equal(t, empty, got)
	require.True(t, got.AppendedAt.IsZero())
}

func TestABatchIsOneFsync(t *testing.T) {
	d := fakedisk.New()
	l, err := OpenLog(d, "raft")
	require.NoError(t, err)
	var kinds []fakedisk.Kind
	d.Before(func(o fakedisk.Op) error { kinds = append(kinds, o.Kind); return nil })
	require.NoError(t, l.StoreLogs(entries(1, 100, "x")))
	require.Equal(t, []fakedisk.Kind{fakedisk.Write, fakedisk.Sync}, kinds)
}

func TestEntriesMustRise(t *testing.T) {
	l, err := OpenLog(fakedisk.New(), "raft")
	require.NoError(t, err)
	require.NoError(t, l.StoreLogs(entries(5, 6, "x")))
	require.ErrorContains(t, l.StoreLog(entry(6, "y")), "entry 6 cannot be stored after entry 6")
	require.Error(t, l.StoreLogs([]*raft.Log{entry(7, ""), entry(7, "")}))
	require.Error(t, l.StoreLog(entry(0, "")))
	require.NoError(t, l.StoreLog(entry(7, "x")), "a refusal does not poison")
}

func TestCompactionRemovesFiles(t *testing.T) {
	d := fakedisk.New()
	l, err := openLog(d, "raft", smallSegment)
	require.NoError(t, err)
	for i := uint64(1); i <= 50; i++ {
		require.NoError(t, l.StoreLog(entry(i, "some data")))
	}
	before, err := d.ReadDir("raft")
	require.NoError(t, err)
	require.Greater(t, len(before), 10)
	require.NoError(t, l.DeleteRange(1, 48))
	after, err := d.ReadDir("raft")
	require.NoError(t, err)
	require.Less(t, len(after), 4)
}

// TestLikeRaftsOwnStore makes random changes, with restarts, to this log and to raft's
// store in memory, and compares all they hold. The two differ in FirstIndex and LastIndex
// after a deletion beside a gap, where raft's store reports an index that it does not
// have; so the model's are counted from its entries.
func TestLikeRaftsOwnStore(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		d := fakedisk.New()
		l, err := openLog(d, "raft", smallSegment)
		require.NoError(t, err)
		model, highest := raft.NewInmemStore(), uint64(0)
		for range 120 {
			last, err := l.LastIndex()
			require.NoError(t, err)
			switch rng.IntN(6) {
			case 0, 1, 2:
				if rng.IntN(10) == 0 {
					last += rng.Uint64N(5)
				}
				batch := entries(last+1, last+1+rng.Uint64N(8), fmt.Sprint(rng.IntN(1000), "-"))
				require.NoError(t, l.StoreLogs(batch))
				require.NoError(t, model.StoreLogs(batch))
				highest = max(highest, batch[len(batch)-1].Index)
			case 3: // compaction, conflict, or anything
				first, err := l.FirstIndex()
				require.NoError(t, err)
				from := first + rng.Uint64N(last-first+1)
				to := from + rng.Uint64N(last-from+1)
				switch rng.IntN(3) {
				case 0:
					from = first
				case 1:
					to = last
				}
				require.NoError(t, l.DeleteRange(from, to))
				require.NoError(t, model.DeleteRange(from, to))
			case 4:
				key, value := []byte(fmt.Sprint("key", rng.IntN(3))), rng.Uint64()
				require.NoError(t, l.SetUint64(key, value))
				require.NoError(t, model.SetUint64(key, value))
			case 5:
				require.NoError(t, l.Close())
				l, err = openLog(d, "raft", smallSegment)
				require.NoError(t, err)
			}
			compare(t, model, l, highest)
		}
	}
}

func compare(t *testing.T, model *raft.InmemStore, l *Log, highest uint64) {
	t.Helper()
	var first, last uint64
	for i := uint64(1); i <= highest; i++ {
		var want, got raft.Log
		errWant, errGot := model.GetLog(i, &want), l.GetLog(i, &got)
		require.Equal(t, errWant, errGot)
		require.Equal(t, want, got)
		if errWant == nil {
			last = i
			if first == 0 {
				first = i
			}
		}
	}
	gotFirst, err := l.FirstIndex()
	require.NoError(t, err)
	gotLast, err := l.LastIndex()
	require.NoError(t, err)
	require.Equal(t, []uint64{first, last}, []uint64{gotFirst, gotLast})
	for i := range 3 {
		key := []byte(fmt.Sprint("key", i))
		want, err := model.GetUint64(key)
		require.NoError(t, err)
		got, err := l.GetUint64(key)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// TestEveryFlippedByte damages a log of several segments, a byte at a time: Open either
// fails, naming the file, or loses only the last write.
func TestEveryFlippedByte(t *testing.T) {
	build := func() *fakedisk.Disk {
		d := fakedisk.New()
		l, err := openLog(d, "raft", smallSegment)
		require.NoError(t, err)
		require.NoError(t, l.StoreLogs(entries(1, 5, "data")))
		require.NoError(t, l.StoreLogs(entries(6, 8, "data")))
		require.NoError(t, l.StoreLog(entry(9, "data")))
		require.NoError(t, l.DeleteRange(9, 9))
		require.NoError(t, l.Close())
		return d
	}
	d := build()
	l, err := openLog(d, "raft", smallSegment)
	require.NoError(t, err)
	whole := dump(t, l)
	without := dumpOfFirst9(t)
	names, err := d.ReadDir("raft")
	require.NoError(t, err)
	require.Greater(t, len(names), 1)
	cut := 0
	for _, name := range names {
		size := sizeOf(t, d, "raft/"+name)
		for at := range size {
			d := build()
			flip(t, d, "raft/"+name, at)
			l, err := openLog(d, "raft", smallSegment)
			if corrupt, ok := errors.AsType[*CorruptError](err); ok {
				require.Equal(t, "raft/"+name, corrupt.File)
				require.LessOrEqual(t, corrupt.Offset, at)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, names[len(names)-1], name, "only the last segment may be cut")
			require.Contains(t, []string{without}, dump(t, l), "offset %d", at)
			cut++
		}
	}
	require.NotEqual(t, whole, without)
	require.Equal(t, frameHeaderSize+recordOverhead+16, cut, "the last frame, and nothing else")
}

func dumpOfFirst9(t *testing.T) string {
	l, err := OpenLog(fakedisk.New(), "raft")
	require.NoError(t, err)
	require.NoError(t, l.StoreLogs(entries(1, 8, "data")))
	require.NoError(t, l.StoreLog(entry(9, "data")))
	return dump(t, l)
}

func TestAMissingSegmentIsTold(t *testing.T) {
	d := fakedisk.New()
	l, err := openLog(d, "raft", smallSegment)
	require.NoError(t, err)
	for i := uint64(1); i <= 20; i++ {
		require.NoError(t, l.StoreLog(entry(i, "data")))
	}
	require.NoError(t, l.Close())
	require.NoError(t, d.Remove(segmentName("raft", 2)))
	_, err = openLog(d, "raft", smallSegment)
	require.ErrorContains(t, err, "00000000000000000002.log is corrupt at offset 0: the file is missing")
}

func TestACorruptStableStoreIsTold(t *testing.T) {
	d := fakedisk.New()
	l, err := OpenLog(d, "raft")
	require.NoError(t, err)
	require.NoError(t, l.SetUint64([]byte("term"), 3))
	require.NoError(t, l.Close())
	flip(t, d, "raft/stable", 20)
	_, err = OpenLog(d, "raft")
	require.ErrorContains(t, err, "raft/stable is corrupt")
}

func TestAReadVerifies(t *testing.T) {
	d := fakedisk.New()
	l, err := OpenLog(d, "raft")
	require.NoError(t, err)
	require.NoError(t, l.StoreLog(entry(1, "data")))
	flip(t, d, segmentName("raft", 1), sizeOf(t, d, segmentName("raft", 1))-1)
	_, ok := errors.AsType[*CorruptError](l.GetLog(1, new(raft.Log)))
	require.True(t, ok)
}

func TestReadersAndWritersTogether(t *testing.T) {
	l, err := openLog(fakedisk.New(), "raft", smallSegment)
	require.NoError(t, err)
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				last, err := l.LastIndex()
				if err != nil {
					t.Error(err)
				}
				var e raft.Log
				if err := l.GetLog(last, &e); err != nil && err != raft.ErrLogNotFound {
					t.Error(err)
				}
			}
		})
	}
	for i := uint64(1); i <= 300; i++ {
		require.NoError(t, l.StoreLog(entry(i, "data")))
		if i%20 == 0 {
			require.NoError(t, l.DeleteRange(1, i-5))
		}
	}
	close(stop)
	readers.Wait()
}

func sizeOf(t *testing.T, d *fakedisk.Disk, name string) int64 {
	t.Helper()
	f, err := d.Open(name, os.O_RDONLY)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	return size
}

func flip(t *testing.T, d *fakedisk.Disk, name string, at int64) {
	t.Helper()
	f, err := d.Open(name, os.O_RDWR)
	require.NoError(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}
