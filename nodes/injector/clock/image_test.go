package clock

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorded are vDSOs of kernels: see testdata/README.
var recorded = []struct {
	file, arch string
	entries    [functions]symbol
	base       uint64 // of the payload
}{
	{"vdso-debian-6.1-amd64.bin", "amd64", [functions]symbol{{0x960, 608}, {0x780, 428}, {0x930, 42}}, 0x1230},
	// Its free end has 752 bytes, so that the payload just fits.
	{"vdso-debian-6.1-arm64.bin", "arm64", [functions]symbol{{0x2d0, 664}, {0x570, 428}, {}}, 0xd10},
	{"vdso-debian-6.12-arm64.bin", "arm64", [functions]symbol{{0x340, 660}, {0x5d8, 428}, {}}, 0x1260},
}

func recording(t testing.TB, file, arch string) image {
	mapped, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	im, err := parse(mapped, machines[arch])
	require.NoError(t, err)
	return im
}

func TestRecordedImages(t *testing.T) {
	for _, c := range recorded {
		t.Run(c.file, func(t *testing.T) {
			im := recording(t, c.file, c.arch)
			require.Equal(t, c.entries, im.entries)
			base, err := im.room(len(im.payload))
			require.NoError(t, err)
			require.Equal(t, c.base, base)
		})
	}
}

// Where the free end is too short, what is behind the loaded segment serves; where that is too
// short as well, or used, it is an error with figures.
func TestRoom(t *testing.T) {
	im := recording(t, "vdso-debian-6.1-arm64.bin", "arm64")
	end, loaded := (im.end+15)&^15, (im.loaded+15)&^15
	base, err := im.room(len(im.bytes) - int(end))
	require.NoError(t, err)
	require.Equal(t, end, base)
	base, err = im.room(len(im.bytes) - int(end) + 1)
	require.NoError(t, err)
	require.Equal(t, loaded, base)
	_, err = im.room(len(im.bytes) - int(loaded) + 1)
	require.ErrorContains(t, err, "needs 1745 bytes, and of 4096 mapped bytes only those from 2344 on")
	im.bytes = bytes.Clone(im.bytes)
	im.bytes[len(im.bytes)-1] = 1
	base, err = im.room(16)
	require.NoError(t, err)
	require.Equal(t, loaded, base)
}

func TestParseRefuses(t *testing.T) {
	good, err := os.ReadFile("testdata/vdso-debian-6.1-amd64.bin")
	require.NoError(t, err)
	for _, c := range []struct {
		name, want string
		change     func(b []byte) []byte
	}{
		{"nothing", "no ELF", func([]byte) []byte { return nil }},
		{"text", "no ELF", func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) }},
		{"32 bits", "only 64-bit", func(b []byte) []byte { b[4] = 1; return b }},
		{"another machine", "want EM_X86_64", func(b []byte) []byte { b[18] = 0xb7; return b }},
		{"cut", "", func(b []byte) []byte { return b[:0x1000] }},
		{"no functions", "no function __vdso_clock_gettime", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("__vdso_clock_gettime"), []byte("__vdso_clock_gettame"))
		}},
		{"loaded elsewhere", "want one, executable, at 0", func(b []byte) []byte { b[64+16] = 1; return b }},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.change(bytes.Clone(good)), machines["amd64"])
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What is not the kernel's vDSO nor this package's patch of it is never taken for either.
func TestFind(t *testing.T) {
	for _, c := range recorded {
		im := recording(t, c.file, c.arch)
		p, err := plan(im)
		require.NoError(t, err)
		is, err := p.find(im.bytes)
		require.NoError(t, err)
		require.Equal(t, state{}, is)

		memory := applied(p, paramBank{wall: family{rate: 5}}, 3)
		is, err = p.find(memory)
		require.NoError(t, err)
		require.True(t, p.patched(is))
		require.Equal(t, state{payload: true, jumps: len(p.sites), generation: 3, bank: paramBank{wall: family{rate: 5}}}, is)

		for _, s := range p.sites { // as left by Restore
			copy(memory[s.at:], s.old)
		}
		is, err = p.find(memory)
		require.NoError(t, err)
		require.Zero(t, is.jumps)
		require.True(t, is.payload)

		for name, at := range map[string]uint64{"code": im.entries[clockGettime].at + 20, "header": 0, "end": uint64(len(memory)) - 1, "payload": p.base + atRows} {
			other := applied(p, paramBank{}, 0)
			other[at] ^= 1
			_, err := p.find(other)
			require.Error(t, err, name)
		}
		_, err = p.find(memory[:len(memory)/2])
		require.ErrorContains(t, err, "32-bit")
		jumps := applied(p, paramBank{}, 0)
		copy(jumps[p.base:], make([]byte, len(p.payload)))
		_, err = p.find(jumps)
		require.ErrorIs(t, err, errUnknown, "jumps to nothing")
	}
}

// applied is the memory of a patched vDSO.
func applied(p patch, b paramBank, g uint64) []byte {
	memory := bytes.Clone(p.bytes)
	copy(memory[p.base:], p.payload)
	binary.LittleEndian.PutUint64(memory[p.base+atGeneration:], g)
	copy(memory[p.base+atBank(g):], b.encode())
	for _, s := range p.sites {
		copy(memory[s.at:], s.code)
	}
	return memory
}

func FuzzParse(f *testing.F) {
	for _, c := range recorded {
		b, err := os.ReadFile(filepath.Join("testdata", c.file))
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:0x400])
	}
	f.Fuzz(func(t *testing.T, mapped []byte) {
		for _, m := range machines {
			im, err := parse(mapped, m)
			if err != nil {
				continue
			}
			p, err := plan(im)
			if err != nil {
				continue
			}
			memory := applied(p, paramBank{}, 1)
			for _, s := range p.sites {
				require.LessOrEqual(t, s.at+uint64(len(s.code)), p.base)
			}
			require.Len(t, memory, len(mapped))
		}
	})
}
