package checker

import "slices"

// configs is a set of configurations of one size: words of 64 bits, the first of which is a value's
// number and the rest a bit for each operation that is under way. They lie one after the
// other in one slice, in the order in which they came, so a set is also a queue.
type configs struct {
	size  int // words of one
	words []uint64
	table []entry // open addressing; a power of two long
	round uint32  // entries of other rounds are free
}

type entry struct {
	round uint32
	at    int32
}

func newConfigs(size int) *configs { return &configs{size: size, table: make([]entry, 16), round: 1} }

func (s *configs) len() int          { return len(s.words) / s.size }
func (s *configs) at(i int) []uint64 { return s.words[i*s.size : (i+1)*s.size : (i+1)*s.size] }

func (s *configs) reset() {
	s.words = s.words[:0]
	if s.round++; s.round == 0 {
		clear(s.table)
		s.round = 1
	}
}

// add returns the place of c, which it copies, and whether it is new.
func (s *configs) add(c []uint64) (at int, isNew bool) {
	if 2*(s.len()+1) > len(s.table) {
		s.grow()
	}
	e := s.find(c)
	if e.round == s.round {
		return int(e.at), false
	}
	e.round, e.at = s.round, int32(s.len())
	s.words = append(s.words, c...)
	return int(e.at), true
}

// find is the entry of c, or the free one where it belongs.
func (s *configs) find(c []uint64) *entry {
	mask := uint64(len(s.table) - 1)
	for i := hashOf(c); ; i++ {
		e := &s.table[i&mask]
		if e.round != s.round || slices.Equal(s.at(int(e.at)), c) {
			return e
		}
	}
}

func (s *configs) grow() {
	s.table, s.round = make([]entry, 2*len(s.table)), 1
	for i := range s.len() {
		*s.find(s.at(i)) = entry{s.round, int32(i)}
	}
}

func hashOf(c []uint64) uint64 {
	h := uint64(14695981039346656037)
	for _, w := range c {
		h = (h ^ w) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h
}
