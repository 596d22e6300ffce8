package clock

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Process is a process whose clocks may be set. Nothing of it is changed before the first Set that
// is not the truth. It is bound to the program that the process executes now: after an exec, and
// after its end, every method errs with ErrGone. All methods may be called at the same time.
type Process struct {
	pid   int
	start uint64   // of the vDSO
	mem   *os.File // of the memory that the process had when it was opened
	patch patch

	mu sync.Mutex // held while the vDSO is read or written
}

// Open is for a process that runs already. It errs where the process cannot be skewed: no
// permission, no vDSO or an unknown one, another architecture, another time namespace. A
// process that was patched by an earlier Open or Start, of whatever process, goes on
// with its clocks.
func Open(pid int) (*Process, error) {
	patch, err := ours()
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(execPatience); ; time.Sleep(time.Millisecond) {
		p, err := open(pid, patch)
		if !errors.Is(err, errBare) && !errors.Is(err, ErrGone) || time.Now().After(deadline) {
			return p, err
		}
		if lives, statErr := alive(pid, pid); statErr != nil || !lives {
			return nil, errors.Join(fmt.Errorf("process %d: %w", pid, ErrGone), statErr)
		}
	}
}

// A process that is seen in the middle of an exec has lost its memory and has no vDSO yet:
// that passes.
const execPatience = time.Second

var errBare = errors.New("has no vDSO, so its clocks are system calls, which cannot be changed: was the kernel booted with vdso=0?")

func open(pid int, patch patch) (*Process, error) {
	if err := sameTimes(pid); err != nil {
		return nil, err
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return nil, denied(pid, err)
	}
	p := &Process{pid: pid, mem: mem, patch: patch}
	var size uint64
	if p.start, size, err = mapped(pid); err == nil && size != uint64(len(patch.bytes)) {
		err = fmt.Errorf("process %d: its vDSO has %d bytes, this process's has %d: only 64-bit programs of this machine's architecture can be skewed",
			pid, size, len(patch.bytes))
	}
	if err == nil {
		_, err = p.look()
	}
	if err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	return p, nil
}

// Close forgets the process; its clocks stay as they are.
func (p *Process) Close() error { return p.mem.Close() }

// Set makes the process's clocks show a setting from now on, the next reading included. The
// process goes on running, but for two cases (see the package's doc). What is
// set already may be set again. Set waits, some milliseconds, if the monotonic clock got another
// rate just before.
func (p *Process) Set(s Setting) error {
	if err := s.Check(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	is, err := p.look()
	if err != nil || s == (Setting{}) && is.jumps == 0 {
		return err
	}
	now, err := p.settled(is, s)
	if err != nil {
		return err
	}
	next := is.bank.next(s, now)
	if p.patch.patched(is) && next.mono.rate >= is.bank.mono.rate {
		return p.turn(is, next)
	}
	return frozen(p.pid, p.mem, p.mapping(), p.patch.dangers(p.start), func() error { return p.install(s) })
}

// mapping is all of the vDSO, with what was put into it.
func (p *Process) mapping() span { return span{p.start, p.start + uint64(len(p.patch.bytes)) - 1} }

// settled waits until the monotonic clock may get another rate.
func (p *Process) settled(is state, s Setting) (instant, error) {
	for {
		now, err := instantNow()
		if err != nil {
			return now, err
		}
		wait := is.bank.unsettled(is.bank.next(s, now), now)
		if wait == 0 {
			return now, nil
		}
		time.Sleep(wait)
	}
}

// Restore gives the process its own clocks back: a setting of the truth, and the entries of the
// vDSO as they were. It stops the process for that, for a millisecond or a few. The
// payload stays behind, unreachable, as a thread may be in it. A process whose
// monotonic clock has gained something keeps that, and so its patch: then the wall clock is
// right again, and the error is ErrGained.
func (p *Process) Restore() error {
	if err := p.Set(Setting{}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	is, err := p.look()
	if err != nil || is.jumps == 0 {
		return err
	}
	if is.bank.gained() {
		return fmt.Errorf("process %d: %w", p.pid, ErrGained)
	}
	return frozen(p.pid, p.mem, p.mapping(), p.patch.dangers(p.start), func() error {
		for _, s := range p.patch.sites {
			if err := p.write(s.old, s.at); err != nil {
				return err
			}
		}
		return nil
	})
}

// Differs counts the bytes in which the process's vDSO is not the kernel's own: in the
// ELF file, which has the code, and behind it, where a payload may have been left.
func (p *Process) Differs() (file, behind int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	memory, err := p.read()
	if err != nil {
		return 0, 0, err
	}
	for i, b := range memory {
		switch {
		case b == p.patch.bytes[i]:
		case uint64(i) < p.patch.end:
			file++
		default:
			behind++
		}
	}
	return file, behind, nil
}

// install writes everything for a setting; the process must be stopped. What stands in
// the payload and in the entries already is not written again: somebody may be executing it.
func (p *Process) install(s Setting) error {
	is, err := p.look()
	if err != nil {
		return err
	}
	now, err := instantNow()
	if err != nil {
		return err
	}
	if !is.payload {
		if err := p.write(p.patch.payload, p.patch.base); err != nil {
			return err
		}
	}
	if err := p.turn(is, is.bank.next(s, now)); err != nil {
		return err
	}
	if p.patch.patched(is) {
		return nil
	}
	for _, s := range p.patch.sites {
		if err := p.write(s.code, s.at); err != nil {
			return err
		}
	}
	return nil
}

// turn makes a bank hold from now on. The generation goes out in one write: while it is
// copied, its lowest byte alone decides, and any value that was not there before makes the payload begin again.
func (p *Process) turn(is state, next paramBank) error {
	generation := is.generation + 1
	if err := p.write(next.encode(), p.patch.base+atBank(generation)); err != nil {
		return err
	}
	return p.write(binary.LittleEndian.AppendUint64(nil, generation), p.patch.base+atGeneration)
}

// look finds out how the process's vDSO is now.
func (p *Process) look() (state, error) {
	memory, err := p.read()
	if err != nil {
		return state{}, err
	}
	is, err := p.patch.find(memory)
	if err != nil {
		return is, fmt.Errorf("process %d: %w", p.pid, err)
	}
	return is, nil
}

func (p *Process) read() ([]byte, error) {
	memory := make([]byte, len(p.patch.bytes))
	n, err := p.mem.ReadAt(memory, int64(p.start))
	if n == 0 && errors.Is(err, io.EOF) { // its memory is gone: mem_rw, fs/proc/base.c
		return nil, fmt.Errorf("process %d: %w", p.pid, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("process %d: its vDSO: %w", p.pid, err)
	}
	return memory, nil
}

func (p *Process) write(b []byte, at uint64) error {
	n, err := p.mem.WriteAt(b, int64(p.start+at))
	if n == 0 && (err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrShortWrite)) {
		return fmt.Errorf("process %d: %w", p.pid, ErrGone)
	}
	if err != nil {
		return fmt.Errorf("process %d: the kernel will not have its code written: %w"+
			" (from Linux 6.12 on, boot with proc_mem.force_override=always)", p.pid, err)
	}
	return nil
}

// ours plans the patch from this process's own vDSO: the kernel gives all processes of
// an architecture the same one.
func ours() (patch, error) {
	m, ok := machines[runtime.GOARCH]
	if !ok {
		return patch{}, fmt.Errorf("clocks of other processes: not on %s, only on amd64 and arm64", runtime.GOARCH)
	}
	start, size, err := mapped(os.Getpid())
	if err != nil {
		return patch{}, err
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return patch{}, err
	}
	defer mem.Close() // was only read
	original := make([]byte, size)
	if _, err := mem.ReadAt(original, int64(start)); err != nil {
		return patch{}, fmt.Errorf("this process's vDSO: %w", err)
	}
	im, err := parse(original, m)
	if err != nil {
		return patch{}, fmt.Errorf("this kernel's vDSO is none that can be patched: %w", err)
	}
	p, err := plan(im)
	if err != nil {
		return patch{}, err
	}
	if is, err := p.holds(original[p.base:][:len(p.payload)]); err != nil || is {
		return patch{}, errors.New("this process's own clocks have been patched: nothing true to compare with, start it anew")
	}
	return p, nil
}

// mapped is where a process's vDSO is, from /proc/PID/maps: "7ffd2c-7ffd2e r-xp ... [vdso]".
func mapped(pid int) (start, size uint64, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, 0, denied(pid, err)
	}
	defer maps.Close() // was only read
	lines := bufio.NewScanner(maps)
	some := false
	for lines.Scan() {
		some = true
		if !strings.HasSuffix(lines.Text(), " [vdso]") {
			continue
		}
		var end uint64
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x ", &start, &end); err != nil || end <= start {
			return 0, 0, fmt.Errorf("process %d: maps: %q", pid, lines.Text())
		}
		return start, end - start, nil
	}
	if err := lines.Err(); err != nil {
		return 0, 0, denied(pid, err)
	}
	if !some {
		return 0, 0, fmt.Errorf("process %d: %w", pid, ErrGone)
	}
	return 0, 0, fmt.Errorf("process %d %w", pid, errBare)
}

// sameTimes errs if the process is in another time namespace (time_namespaces(7)): what is
// monotonic time there is not what it is here.
func sameTimes(pid int) error {
	here, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		return nil // this kernel has none
	}
	there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", pid))
	if err != nil {
		return denied(pid, err)
	}
	if here != there {
		return fmt.Errorf("process %d is in another time namespace (%s, not %s): set its clocks from within that one", pid, there, here)
	}
	return nil
}
