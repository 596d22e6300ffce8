//go:build linux

package disk

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDamageIsWhatItSaysAndIsRepaired(t *testing.T) {
	m := mountedDisk(t)
	text := strings.Repeat("0123456789", 1000)
	require.NoError(t, os.Mkdir(m.path("raft"), 0o755))
	m.write(t, "raft/1.wal", text)
	m.write(t, "raft/2.wal", text)
	m.write(t, "raft/empty.wal", "")
	held, err := os.Open(m.path("raft/2.wal"))
	require.NoError(t, err)
	defer held.Close()
	require.Equal(t, text, m.content(t, "raft/2.wal"))

	for _, harm := range []Harm{FlipBit, Truncate} {
		done, err := m.Damage(Damage{Pattern: "raft/*.wal", Newest: true, Harm: harm, Seed: 7})
		require.NoError(t, err)
		require.Equal(t, "raft/2.wal", done.File)
		want := []byte(text)
		if harm == FlipBit {
			want[done.Offset] ^= 1 << done.Bit
		} else {
			want = want[:done.NewSize]
		}
		require.Equal(t, string(want), m.content(t, "raft/2.wal"))
		got := make([]byte, len(want))
		_, err = held.ReadAt(got, 0)
		require.NoError(t, err)
		require.Equal(t, want, got, "an open file sees it too")
		repaired, err := m.Repair(done)
		require.NoError(t, err)
		require.True(t, repaired)
		require.Equal(t, text, m.content(t, "raft/2.wal"))
		repaired, err = m.Repair(done)
		require.NoError(t, err)
		require.False(t, repaired, "it is no longer as the damage left it")
	}
}

func TestASeedChoosesTheSameDamage(t *testing.T) {
	m := mountedDisk(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		m.write(t, name, "some content")
	}
	chosen := map[string]bool{}
	for seed := range uint64(20) {
		what := Damage{Pattern: "?", Harm: FlipBit, Seed: seed}
		done, err := m.Damage(what)
		require.NoError(t, err)
		again, err := m.Damage(what) // flips it back
		require.NoError(t, err)
		require.Equal(t, []any{done.File, done.Offset, done.Bit}, []any{again.File, again.Offset, again.Bit})
		chosen[done.File] = true
	}
	require.Greater(t, len(chosen), 1)
}

func TestDamageRefuses(t *testing.T) {
	m := mountedDisk(t)
	_, err := m.Damage(Damage{Pattern: "*", Harm: FlipBit})
	require.ErrorIs(t, err, ErrNothing)
	for _, pattern := range []string{"../*", "/etc/*", "["} {
		_, err := m.Damage(Damage{Pattern: pattern, Harm: FlipBit})
		require.Error(t, err, pattern)
	}
	m.write(t, "a", "x")
	_, err = m.Damage(Damage{Pattern: "a", Harm: "scratch"})
	require.Error(t, err)
}
