package clock

import (
	"bytes"
	"errors"
	"fmt"
)

// patch is what has to be changed in a vDSO, as offsets from its beginning.
type patch struct {
	image
	base  uint64 // of the payload
	sites []site
}

// site is the bytes at an entry that become a jump.
type site struct {
	at        uint64
	old, code []byte
	danger    span // where no thread may be while they are written
}

// span is the addresses from first to last, both included.
type span struct{ first, last uint64 }

func (s span) has(address uint64) bool { return address >= s.first && address <= s.last }

// plan makes a patch for the original vDSO.
func plan(im image) (patch, error) {
	base, err := im.room(len(im.payload))
	if err != nil {
		return patch{}, err
	}
	p := patch{image: im, base: base}
	for f, entry := range im.entries {
		if entry.size == 0 {
			continue
		}
		skip, code, err := im.jump(im.bytes[entry.at:entry.at+entry.size], entry.at, base+im.target(f))
		if err != nil {
			return patch{}, fmt.Errorf("%s: %w", im.symbols[f], err)
		}
		at := entry.at + uint64(skip)
		to := at + uint64(len(code))
		s := site{at: at, code: code, old: im.bytes[at:to], danger: span{at + 1, to - 1}}
		if im.reached(im.bytes[im.text.at:im.text.to], im.text.at, at, to) {
			// Who is in the function might come back to the bytes.
			s.danger = span{at + 1, entry.at + entry.size - 1}
		}
		p.sites = append(p.sites, s)
	}
	return p, nil
}

// state is what is found in the memory of a process.
type state struct {
	payload    bool // is in place
	jumps      int  // that are in place
	generation uint64
	bank       paramBank
}

var errUnknown = errors.New("its vDSO is not the one that the kernel gave it: another tool has changed it")

// find compares memory with the original, and accepts only what this package writes.
func (p patch) find(memory []byte) (state, error) {
	var s state
	if len(memory) != len(p.bytes) {
		return s, fmt.Errorf("its vDSO has %d bytes, this process's has %d: is it a 32-bit program?", len(memory), len(p.bytes))
	}
	payload := memory[p.base:][:len(p.payload)]
	var err error
	if s.payload, err = p.holds(payload); err != nil {
		return s, err
	}
	rest := bytes.Clone(memory)
	for _, site := range p.sites {
		there := rest[site.at:][:len(site.code)]
		if bytes.Equal(there, site.code) {
			s.jumps++
			copy(there, site.old)
		}
	}
	if s.payload {
		s.generation, s.bank = generation(payload)
		copy(rest[p.base:], p.bytes[p.base:][:len(p.payload)])
	}
	if !bytes.Equal(rest, p.bytes) || s.jumps > 0 && !s.payload {
		return s, errUnknown
	}
	return s, nil
}

// patched reports whether every entry leads to the payload.
func (p patch) patched(s state) bool { return s.jumps == len(p.sites) }

// dangers are the spans of all sites, in a process whose vDSO is at start.
func (p patch) dangers(start uint64) dangers {
	d := dangers{vdso: span{start, start + uint64(len(p.bytes)) - 1}}
	for _, s := range p.sites {
		if s.danger.first <= s.danger.last {
			d.sites = append(d.sites, span{start + s.danger.first, start + s.danger.last})
		}
	}
	return d
}
