package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lacking skips a test for what the environment lacks, unless it must not.
func lacking(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("FAULTLINE_REQUIRE_LOCAL") != "" {
		t.Fatalf("FAULTLINE_REQUIRE_LOCAL is set, but: %v", err)
	}
	t.Skip(err)
}

func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	lacking(t, err)
	return path
}

// The committed payloads are what their source makes.
func TestPayloadsAreTheirSource(t *testing.T) {
	for arch, tools := range map[string]string{"amd64": "x86_64-linux-gnu-", "arm64": "aarch64-linux-gnu-"} {
		t.Run(arch, func(t *testing.T) {
			program(t, "make")
			program(t, tools+"as")
			out := filepath.Join(t.TempDir(), arch+".bin")
			said, err := exec.Command("make", "-C", "payload", "OUT="+filepath.Dir(out), out).CombinedOutput()
			require.NoError(t, err, string(said))
			assembled, err := os.ReadFile(out)
			require.NoError(t, err)
			require.Equal(t, assembled, machines[arch].payload)
		})
	}
}

func TestHeader(t *testing.T) {
	for arch, m := range machines {
		require.Equal(t, magic, string(m.payload[:atGeneration]), arch)
		require.EqualValues(t, len(m.payload), m.target(functions), arch)
		for f, name := range m.symbols {
			if name == "" {
				require.Zero(t, m.target(f))
				continue
			}
			require.Greater(t, m.target(f), uint64(atRows), arch)
			require.Less(t, m.target(f), uint64(len(m.payload)), arch)
		}
		g, b := generation(m.payload)
		require.Zero(t, g)
		require.Equal(t, paramBank{}, b)
	}
}

// The patched entries lead to the payload: computed here anew from the bytes.
func TestJumpsLeadToThePayload(t *testing.T) {
	for _, c := range recorded {
		p, err := plan(recording(t, c.file, c.arch))
		require.NoError(t, err)
		memory, site := applied(p, paramBank{}, 0), 0
		for f, entry := range p.entries {
			if entry.size == 0 {
				continue
			}
			code := memory[p.sites[site].at:]
			site++
			want := p.base + p.target(f)
			switch c.arch {
			case "amd64":
				require.EqualValues(t, 0xe9, code[0])
				require.Equal(t, want, entry.at+5+uint64(int64(int32(binary.LittleEndian.Uint32(code[1:])))))
			case "arm64":
				require.EqualValues(t, 0xd503245f, binary.LittleEndian.Uint32(code)) // bti c
				branch := binary.LittleEndian.Uint32(code[4:])
				require.EqualValues(t, 0x14, branch>>24&0xfc)
				require.Equal(t, want, entry.at+4+uint64(branch&0x3ffffff)*4)
			}
		}
		require.Len(t, p.sites, site)
	}
}

// objdump, who reads instructions for a living, agrees.
func TestDisassembly(t *testing.T) {
	for _, c := range recorded {
		t.Run(c.file, func(t *testing.T) {
			tool, jump := "x86_64-linux-gnu-objdump", "jmp"
			if c.arch == "arm64" {
				tool, jump = "aarch64-linux-gnu-objdump", "b"
			}
			program(t, tool)
			p, err := plan(recording(t, c.file, c.arch))
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "vdso")
			require.NoError(t, os.WriteFile(path, applied(p, paramBank{}, 0), 0o644))
			out, err := exec.Command(tool, "-d", "-j", ".text", path).CombinedOutput()
			require.NoError(t, err, string(out))
			for f, entry := range p.entries {
				if entry.size == 0 {
					continue
				}
				at := entry.at
				if c.arch == "arm64" {
					require.Regexp(t, fmt.Sprintf(`(?m)^\s*%x:.*\tbti\tc$`, at), string(out))
					at += 4
				}
				want := regexp.MustCompile(fmt.Sprintf(`(?m)^\s*%x:.*\t%s\s+%x\b`, at, jump, p.base+p.target(f)))
				require.Regexp(t, want, string(out))
			}
		})
	}
}

func TestLandingPadStays(t *testing.T) {
	skip, code, err := jumpAMD64([]byte{0xf3, 0x0f, 0x1e, 0xfa, 0x55}, 0x100, 0x200)
	require.NoError(t, err)
	require.Equal(t, 4, skip)
	require.Equal(t, []byte{0xe9, 0xf7, 0, 0, 0}, code) // 0x109 + 0xf7
	_, _, err = jumpAMD64(nil, 0, 1<<33)
	require.Error(t, err)
	_, _, err = jumpARM64(nil, 0, 1<<29)
	require.Error(t, err)
	_, _, err = jumpARM64(nil, 0, 2)
	require.Error(t, err)
}

// Branches back into what was overwritten are found: the function is then left by all before.
func TestReached(t *testing.T) {
	words := func(w ...uint32) (out []byte) {
		for _, w := range w {
			out = binary.LittleEndian.AppendUint32(out, w)
		}
		return out
	}
	const nop = 0xd503201f
	for name, c := range map[string]struct {
		reached func([]byte, uint64, uint64, uint64) bool
		text    []byte
		want    bool
	}{
		"amd64 jmp -4":         {reachedAMD64, []byte{0x90, 0x90, 0x90, 0xeb, 0xfc}, true}, // to 0x101
		"amd64 jne to start":   {reachedAMD64, []byte{0x90, 0x90, 0x90, 0x75, 0xfb}, false},
		"amd64 near jne":       {reachedAMD64, []byte{0x90, 0x90, 0x0f, 0x85, 0xf9, 0xff, 0xff, 0xff}, true},
		"amd64 call":           {reachedAMD64, []byte{0x90, 0xe8, 0xfc, 0xff, 0xff, 0xff}, true},
		"amd64 cut":            {reachedAMD64, []byte{0x90, 0xe8, 0xfc}, false},
		"arm64 b":              {reachedARM64, words(nop, nop, nop, 0x17fffffe), true}, // -8
		"arm64 b to start":     {reachedARM64, words(nop, nop, nop, 0x17fffffd), false},
		"arm64 bl":             {reachedARM64, words(nop, nop, nop, 0x97fffffe), true},
		"arm64 b.ne":           {reachedARM64, words(nop, nop, nop, 0x54ffffc1), true},
		"arm64 cbnz":           {reachedARM64, words(nop, nop, nop, 0xb5ffffc8), true},
		"arm64 tbnz":           {reachedARM64, words(nop, nop, nop, 0x3707ffc7), true},
		"arm64 tbnz elsewhere": {reachedARM64, words(nop, nop, nop, 0x37000507), false},
	} {
		require.Equal(t, c.want, c.reached(c.text, 0x100, 0x100, 0x108), name)
	}
}

func TestPayloadHasNoRelocations(t *testing.T) {
	for _, c := range []struct{ tool, flags, source string }{{"x86_64-linux-gnu-", "--64", "amd64.S"}, {"aarch64-linux-gnu-", "-march=armv8-a", "arm64.S"}} {
		program(t, c.tool+"as")
		object := filepath.Join(t.TempDir(), "o")
		out, err := exec.Command(c.tool+"as", c.flags, "-o", object, "payload/"+c.source).CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.Command(c.tool+"readelf", "-r", object).CombinedOutput()
		require.NoError(t, err, string(out))
		require.True(t, strings.Contains(string(out), "no relocations"), string(out))
	}
}
