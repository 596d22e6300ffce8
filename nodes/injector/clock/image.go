package clock

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// A vDSO is an ELF shared object, mapped whole: file offsets are addresses (see vdso(7)).
type image struct {
	machine
	bytes   []byte            // all of the mapping, whole pages
	entries [functions]symbol // size 0 where there is none
	end     uint64            // of the file; zeros follow
	loaded  uint64            // end of what is loaded; section headers and such follow
	text    struct{ at, to uint64 }
}

type symbol struct{ at, size uint64 }

// parse reads a vDSO of the machine.
func parse(mapped []byte, m machine) (image, error) {
	im := image{machine: m, bytes: mapped}
	if len(mapped) < 64 || !bytes.HasPrefix(mapped, []byte(elf.ELFMAG)) {
		return im, errors.New("no ELF file")
	}
	if class := elf.Class(mapped[elf.EI_CLASS]); class != elf.ELFCLASS64 {
		return im, fmt.Errorf("it is %v: only 64-bit programs can be skewed", class)
	}
	file, err := elf.NewFile(bytes.NewReader(mapped))
	if err != nil {
		return im, err
	}
	if file.Machine != m.elf || file.Data != elf.ELFDATA2LSB {
		return im, fmt.Errorf("it is of %v, %v: want %v", file.Machine, file.Data, m.elf)
	}
	if err := im.measure(file); err != nil {
		return im, err
	}
	return im, im.find(file)
}

// measure finds out where the file ends. The ELF header has the table of section headers at 40,
// their size and count at 58 and 60.
func (im *image) measure(file *elf.File) error {
	header := im.bytes
	table := binary.LittleEndian.Uint64(header[40:])
	count := uint64(binary.LittleEndian.Uint16(header[58:])) * uint64(binary.LittleEndian.Uint16(header[60:]))
	size := uint64(len(header))
	if table > size || count > size-table {
		return errors.New("its section headers are not mapped")
	}
	im.end = table + count
	for _, s := range file.Sections {
		if s.Type == elf.SHT_NOBITS {
			continue
		}
		if s.Offset > size || s.FileSize > size-s.Offset {
			return fmt.Errorf("its section %q is not mapped", s.Name)
		}
		im.end = max(im.end, s.Offset+s.FileSize)
	}
	loads := 0
	for _, p := range file.Progs {
		if p.Off > size || p.Filesz > size-p.Off {
			return errors.New("its segments are not mapped")
		}
		im.end = max(im.end, p.Off+p.Filesz)
		if p.Type != elf.PT_LOAD {
			continue
		}
		if loads++; p.Off != 0 || p.Vaddr != 0 || p.Memsz != p.Filesz || p.Flags&elf.PF_X == 0 || loads > 1 {
			return fmt.Errorf("segment at %#x, offset %#x, %v: want one, executable, at 0", p.Vaddr, p.Off, p.Flags)
		}
		im.loaded = p.Filesz
	}
	if loads == 0 {
		return errors.New("it has no loaded segment")
	}
	return nil
}

// shortest is the size of the smallest function that is patched: no jump is longer.
const shortest = 16

// find looks the functions up.
func (im *image) find(file *elf.File) error {
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	for _, s := range symbols {
		for f, name := range im.symbols {
			if name == "" || s.Name != name || elf.ST_TYPE(s.Info) != elf.STT_FUNC {
				continue
			}
			if s.Size < shortest || s.Value > im.loaded || s.Size > im.loaded-s.Value {
				return fmt.Errorf("%s is %d bytes at %#x: want %d or more within %#x", name, s.Size, s.Value, shortest, im.loaded)
			}
			im.entries[f] = symbol{s.Value, s.Size}
		}
	}
	if im.entries[clockGettime].size == 0 {
		return fmt.Errorf("it has no function %s", im.symbols[clockGettime])
	}
	if section := file.Section(".text"); section != nil {
		im.text.at, im.text.to = section.Offset, section.Offset+section.FileSize
	} else {
		im.text.to = im.loaded
	}
	return nil
}

// room is where size bytes fit: in the zeros behind the file, or else behind what is loaded.
func (im image) room(size int) (uint64, error) {
	const alignment = 16 // the payload's
	for _, from := range []uint64{im.end, im.loaded} {
		from = (from + alignment - 1) &^ (alignment - 1)
		if from+uint64(size) > uint64(len(im.bytes)) {
			continue
		}
		if from >= im.end && len(bytes.Trim(im.bytes[from:], "\x00")) > 0 {
			continue // somebody else's
		}
		return from, nil
	}
	return 0, fmt.Errorf("the patch needs %d bytes, and of %d mapped bytes only those from %d on are free: this kernel's vDSO is too full to be patched",
		size, len(im.bytes), im.loaded)
}
