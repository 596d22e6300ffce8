//go:build amd64 || arm64

package clock

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
)

// Programs of other languages. Each writes a line at once and one for each line that it reads:
// its wall clock in ns, and a 0 in place of what package tests tell of the monotonic one.

const python = `import time, datetime, sys
shown = time.time()
while True:
    print("%d 0" % (shown * 10**9), flush=True)
    if not sys.stdin.readline():
        break
    shown = datetime.datetime.now(datetime.timezone.utc).timestamp()
`

// interpreter is Python itself: a launcher would execute it, and be the one who is skewed.
func interpreter(t testing.TB) string {
	out, err := exec.Command(program(t, "python3"), "-c", "import sys; print(sys.executable)").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// A float has 53 bits, 0.3 µs of now; a datetime has microseconds.
const rounding = 2 * time.Microsecond

func TestPythonFromItsFirstStatement(t *testing.T) {
	needsTracing(t)
	since := now(t)
	c, p := under(t, exec.Command(interpreter(t), "-c", python), Setting{Clock: faults.Clock{Offset: -24 * time.Hour, Drift: 0.1}, Since: since})
	h := c.hear(t, c.line)
	h.shifted(t, -24*time.Hour-time.Minute, -24*time.Hour+(now(t)-since)/10+rounding)
	for range 10 {
		low := -24*time.Hour + (now(t)-since)/10
		h := c.hear(t, c.ask)
		h.shifted(t, low-rounding, -24*time.Hour+(now(t)-since)/10+rounding)
	}
	require.NoError(t, p.Set(Setting{}))
	c.hear(t, c.ask).shifted(t, -rounding, rounding)
}

// Python's monotonic clock is the true one, to the ns, unless it is asked to be otherwise.
func TestPythonsMonotonicClock(t *testing.T) {
	needsTracing(t)
	const program = `import time, sys
while True:
    sys.stdout.write("%d\n" % time.monotonic_ns())
    sys.stdout.flush()
    if not sys.stdin.readline():
        break
`
	c, p := under(t, exec.Command(interpreter(t), "-c", program), Setting{Clock: faults.Clock{Offset: time.Hour}})
	c.line(t)
	for _, forward := range []time.Duration{0, time.Hour} {
		require.NoError(t, p.Set(Setting{Clock: faults.Clock{Offset: time.Hour, Forward: forward}}))
		before := now(t)
		shown, err := time.ParseDuration(c.ask(t) + "ns")
		require.NoError(t, err)
		require.True(t, shown >= before+forward && shown <= now(t)+forward)
	}
}

const inC = `#include <stdio.h>
#include <sys/time.h>
#include <time.h>
int main(void) {
	do {
		struct timeval tv;
		struct timespec ts;
		gettimeofday(&tv, NULL);
		time_t seconds = time(NULL);
		clock_gettime(CLOCK_REALTIME, &ts);
		if (seconds < tv.tv_sec - 1 || seconds > ts.tv_sec || ts.tv_sec < tv.tv_sec)
			return 1;
		printf("%lld 0\n", tv.tv_sec * 1000000000LL + tv.tv_usec * 1000LL);
		fflush(stdout);
	} while (getchar() != EOF);
	return 0;
}
`

func TestC(t *testing.T) {
	needsTracing(t)
	cc := program(t, "cc")
	for name, flags := range map[string][]string{"dynamic": nil, "static": {"-static"}} {
		t.Run(name, func(t *testing.T) {
			source, binary := filepath.Join(t.TempDir(), "c.c"), filepath.Join(t.TempDir(), "c")
			require.NoError(t, os.WriteFile(source, []byte(inC), 0o644))
			out, err := exec.Command(cc, append(flags, "-o", binary, source)...).CombinedOutput()
			require.NoError(t, err, string(out))
			c, p := under(t, exec.Command(binary), Setting{Clock: faults.Clock{Offset: time.Hour}})
			c.hear(t, c.line).shifted(t, time.Hour-time.Minute, time.Hour)
			c.hear(t, c.ask).shifted(t, time.Hour-time.Microsecond, time.Hour)
			require.NoError(t, p.Restore())
			c.hear(t, c.ask).shifted(t, -time.Microsecond, 0)
			file, _ := differs(t, p)
			require.Zero(t, file)
		})
	}
}

// A child made by fork inherits the clocks.
func TestForkInherits(t *testing.T) {
	needsTracing(t)
	const program = `import os, sys, time
if os.fork() == 0:
    print(time.time_ns(), 0)
else:
    os.wait()
`
	c, _ := under(t, exec.Command(interpreter(t), "-c", program), Setting{Clock: faults.Clock{Offset: time.Hour}})
	c.hear(t, c.line).shifted(t, time.Hour-time.Minute, time.Hour)
}
