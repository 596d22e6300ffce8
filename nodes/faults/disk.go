package faults

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Disk is what is wrong with the disk of a node's data. The zero value is health.
type Disk struct {
	Lie       bool          `json:"lying_fsync,omitempty" yaml:"lying-fsync,omitempty"`       // fsync answers at once and makes nothing durable
	SlowSync  time.Duration `json:"slow_fsync_ns,omitempty" yaml:"slow-fsync,omitempty"`      // that every fsync takes longer
	SlowIO    time.Duration `json:"slow_io_ns,omitempty" yaml:"slow-io,omitempty"`            // that every read and write takes longer that reaches the disk
	Full      bool          `json:"full,omitempty" yaml:"full,omitempty"`                     // what needs space fails with ENOSPC
	FailRead  bool          `json:"failing_reads,omitempty" yaml:"failing-reads,omitempty"`   // reads fail with EIO
	FailWrite bool          `json:"failing_writes,omitempty" yaml:"failing-writes,omitempty"` // writes fail with EIO
	FailSync  bool          `json:"failing_fsync,omitempty" yaml:"failing-fsync,omitempty"`   // fsync fails with EIO
	// Torn lets the node's next loss of power tear what was not durable: of the last writes
	// some sectors arrive and others do not, drawn from this seed. 0 loses all of them.
	Torn uint64 `json:"torn,omitempty" yaml:"-"`
	// Names is which names that loss takes.
	Names Names `json:"names,omitempty" yaml:"-"`
	// Damages are done to files while the node's process is down: it is ended for that, and
	// started again on the damaged disk. The heal is the same with what was damaged brought
	// back, as far as it was not written over.
	Damages []Damage `json:"damages,omitempty" yaml:"-"`
}

// Names is which of the changed names of files and directories a loss of power takes. Package nodes/injector/disk
// says what is durable when.
type Names string

const (
	NamesJournaled Names = ""      // those that one of ext4, XFS and btrfs may lose
	NamesPOSIX     Names = "posix" // those whose directory was not synced, as POSIX allows
)

// String is "journaled" or "posix".
func (n Names) String() string { return cmp.Or(string(n), "journaled") }

// Damage is one file that is not what the node wrote.
type Damage struct {
	Kind DamageKind `json:"kind,omitempty"`
	File string     `json:"file,omitempty"` // a pattern of path.Match, from the data directory: "raft/*.log"
	Draw uint64     `json:"draw,omitempty"` // which of the files, and where in it
}

// DamageKind is what becomes of a file.
type DamageKind string

const (
	BitFlip  DamageKind = "bit-flip" // one bit of it is another
	Truncate DamageKind = "truncate" // its end is missing
)

func (d Damage) String() string { return fmt.Sprintf("%s of %s (%d)", d.Kind, d.File, d.Draw) }

// The ranges of delays whose effect can be told from a busy disk.
const leastDiskDelay, mostDiskDelay = 5 * time.Millisecond, 5 * time.Second

// mostCarried is the longest delay that a pod carries out, which sums of several may come
// to: more than any disk takes before its kernel gives it up (30 s by default for SCSI).
const mostCarried = time.Minute

// Merge is the disk to which two things happen that do not know of each other: times add.
func (s Disk) Merge(o Disk) Disk {
	damages := slices.Concat(s.Damages, o.Damages)
	slices.SortFunc(damages, func(a, b Damage) int { return strings.Compare(a.String(), b.String()) })
	return Disk{
		Lie:       s.Lie || o.Lie,
		SlowSync:  s.SlowSync + o.SlowSync,
		SlowIO:    s.SlowIO + o.SlowIO,
		Full:      s.Full || o.Full,
		FailRead:  s.FailRead || o.FailRead,
		FailWrite: s.FailWrite || o.FailWrite,
		FailSync:  s.FailSync || o.FailSync,
		Torn:      s.Torn + o.Torn,
		Names:     max(s.Names, o.Names), // POSIX takes more
		Damages:   slices.Compact(damages),
	}
}

// Healthy reports whether the disk does as it should.
func (s Disk) Healthy() bool { return s.String() == healthy }

const healthy = "healthy"

// EndsNodes reports whether a correct node may end its process over this disk, and may not
// come back before the heal.
func (s Disk) EndsNodes() bool {
	return s.Full || s.FailRead || s.FailWrite || s.FailSync || len(s.Damages) > 0
}

// String tells what is asked for: "fsync lies, full", or "healthy".
func (s Disk) String() string {
	var words []string
	for _, w := range []struct {
		asked bool
		word  string
	}{
		{s.Lie, "fsync lies"},
		{s.SlowSync > 0, "fsync takes +" + s.SlowSync.String()},
		{s.SlowIO > 0, "reads and writes take +" + s.SlowIO.String()},
		{s.Full, "full"},
		{s.FailRead, "reads fail"},
		{s.FailWrite, "writes fail"},
		{s.FailSync, "fsync fails"},
		{s.Torn != 0, "torn at a loss of power"},
		{s.Names != NamesJournaled, "names " + s.Names.String() + " at a loss of power"},
	} {
		if w.asked {
			words = append(words, w.word)
		}
	}
	for _, d := range s.Damages {
		words = append(words, d.String())
	}
	if len(words) == 0 {
		return healthy
	}
	return strings.Join(words, ", ")
}

func (s Disk) needs(need map[Capability]bool) {
	for c, asked := range map[Capability]bool{
		DiskSync:   s.Lie || s.SlowSync > 0 || s.FailSync,
		DiskSlow:   s.SlowIO > 0,
		DiskFull:   s.Full,
		DiskError:  s.FailRead || s.FailWrite,
		DiskDamage: len(s.Damages) > 0,
	} {
		need[c] = need[c] || asked
	}
}

// Check refuses what makes no sense.
func (s Disk) Check() error {
	for _, d := range []struct {
		name string
		slow time.Duration
	}{{"slow-fsync", s.SlowSync}, {"slow-io", s.SlowIO}} {
		if d.slow != 0 && (d.slow < leastDiskDelay || d.slow > mostDiskDelay) {
			return fmt.Errorf("%s is %s: want %s to %s", d.name, d.slow, leastDiskDelay, mostDiskDelay)
		}
	}
	if s.Lie && s.FailSync {
		return fmt.Errorf("an fsync that lies does not fail: ask for one of them")
	}
	return s.Names.Check()
}

// CheckBounds refuses what no pod can carry out, whatever sum of faults asked for it.
func (s Disk) CheckBounds() error {
	for name, delay := range map[string]time.Duration{"slow-fsync": s.SlowSync, "slow-io": s.SlowIO} {
		if delay < 0 || delay > mostCarried {
			return fmt.Errorf("disk: %s is %v: it goes from 0 to %v", name, delay, mostCarried)
		}
	}
	for _, d := range s.Damages {
		if d.Kind != BitFlip && d.Kind != Truncate {
			return fmt.Errorf("damage %q: want %s or %s", d.Kind, BitFlip, Truncate)
		}
	}
	return s.Names.Check()
}

// NamesUntold is what LostBy says of a loss of power on a disk that failed or lied besides,
// where no file tells which names it took.
const NamesUntold = "untold"

// Check refuses what is no such word.
func (n Names) Check() error {
	if n != NamesJournaled && n != NamesPOSIX {
		return fmt.Errorf("names are %q: want %s or %s", string(n), NamesJournaled, NamesPOSIX)
	}
	return nil
}

// DiskMeasurement is what system calls on a node's disk met, made beside the node on a file of
// their own.
type DiskMeasurement struct {
	Tried     bool                `json:"tried"` // there is a disk between the node and the machine's that can be asked
	Read      string              `json:"read,omitempty"`
	Write     string              `json:"write,omitempty"` // "" if it worked, else the name of the error: EIO
	Create    string              `json:"create,omitempty"`
	Sync      string              `json:"sync,omitempty"`
	ReadTook  time.Duration       `json:"read_took_ns,omitempty"`
	WriteTook time.Duration       `json:"write_took_ns,omitempty"`
	SyncTook  time.Duration       `json:"sync_took_ns,omitempty"`
	PlainTook time.Duration       `json:"plain_took_ns,omitempty"` // an fsync of as much on the machine's own disk, beside the faults
	Kept      bool                `json:"kept,omitempty"`          // what this fsync promised would outlast a loss of power
	Unsynced  int64               `json:"unsynced,omitempty"`      // bytes that a loss of power would take now
	Lost      int64               `json:"lost,omitempty"`          // bytes that the last loss of power took
	LostBy    string              `json:"lost_by,omitempty"`       // by which Names it was seen to take names: "journaled", "posix", or NamesUntold
	Damaged   []DamageMeasurement `json:"damaged,omitempty"`
}

// DamageMeasurement is one file that is now other than the node wrote it.
type DamageMeasurement struct {
	Kind DamageKind `json:"kind"`
	File string     `json:"file"`           // from the data directory
	What string     `json:"what,omitempty"` // in words: "with bit 3 of byte 4711 flipped"
}

// String tells what was seen: "writes EIO, fsync EIO after 1ms".
func (seen DiskMeasurement) String() string {
	if !seen.Tried {
		return "not probed"
	}
	var words []string
	for _, call := range []struct{ what, errno string }{
		{"read", seen.Read}, {"write", seen.Write}, {"create", seen.Create}, {"fsync", seen.Sync}} {
		if call.errno != "" {
			words = append(words, call.what+" "+call.errno)
		}
	}
	words = append(words, fmt.Sprintf("fsync took %s", seen.SyncTook.Round(100*time.Microsecond)))
	if seen.Sync == "" && !seen.Kept {
		words = append(words, "and kept nothing")
	}
	for _, d := range seen.Damaged {
		words = append(words, d.File+" "+d.What)
	}
	return strings.Join(words, ", ")
}

// An fsync may take so many times what one on the machine's own disk took a moment before, and so much longer: other
// processes write to that disk, and the machine is busy.
const (
	slowness = 4
	hiccup   = 15 * time.Millisecond
)

func (seen DiskMeasurement) mismatches(want Disk) []string {
	if !seen.Tried {
		if want.Healthy() {
			return nil
		}
		return []string{"its disk was not probed"}
	}
	var out []string
	calls := []struct{ call, got, want string }{
		{"a read", seen.Read, errno(want.FailRead, "EIO")},
		{"a write", seen.Write, errno(want.FailWrite, "EIO")},
		{"a create", seen.Create, errno(want.Full, "ENOSPC")},
		{"an fsync", seen.Sync, errno(want.FailSync, "EIO")},
	}
	for _, c := range calls {
		if c.got != c.want {
			out = append(out, fmt.Sprintf("%s on its disk %s, and should have %s", c.call, outcome(c.got), outcome(c.want)))
		}
	}
	if seen.SyncTook < want.SlowSync {
		out = append(out, fmt.Sprintf("an fsync on its disk took %s, not %s longer", seen.SyncTook, want.SlowSync))
	}
	for _, io := range []struct {
		call, errno string
		took        time.Duration
	}{{"a read", seen.Read, seen.ReadTook}, {"a write", seen.Write, seen.WriteTook}} {
		if io.errno == "" && io.took < want.SlowIO {
			out = append(out, fmt.Sprintf("%s on its disk took %s, not %s longer", io.call, io.took, want.SlowIO))
		}
		if most := want.SlowIO + slowness*seen.PlainTook + hiccup; io.errno == "" && io.took > most {
			out = append(out, fmt.Sprintf("%s on its disk took %s, more than %s", io.call, io.took, most))
		}
	}
	if most := want.SlowSync + slowness*seen.PlainTook + hiccup; seen.Sync == "" && seen.SyncTook > most {
		out = append(out, fmt.Sprintf("an fsync on its disk took %s, more than %s, though one beside it took %s", seen.SyncTook, most, seen.PlainTook))
	}
	if promised := seen.Sync == ""; promised && seen.Kept == want.Lie {
		out = append(out, fmt.Sprintf("what an fsync on its disk promised would %s a loss of power",
			map[bool]string{true: "outlast", false: "not outlast"}[seen.Kept]))
	}
	if len(seen.Damaged) != len(want.Damages) {
		out = append(out, fmt.Sprintf("%d files are damaged, not %d", len(seen.Damaged), len(want.Damages)))
	} else if !paired(want.Damages, seen.Damaged) {
		out = append(out, fmt.Sprintf("the damaged files are %v, which is not what was asked", seen.Damaged))
	}
	return out
}

// paired reports whether each damage that is asked can be one of those that were seen, and each of those one that is asked.
func paired(asked []Damage, seen []DamageMeasurement) bool {
	if len(asked) == 0 {
		return true
	}
	for i, d := range seen {
		fits, err := path.Match(asked[0].File, d.File)
		if err == nil && fits && d.Kind == asked[0].Kind && paired(asked[1:], slices.Concat(seen[:i], seen[i+1:])) {
			return true
		}
	}
	return false
}

// lossMismatches compares the names that a loss of power was seen to take with what is asked. On a disk that failed or lied besides there was nothing to see,
// which is no proof of what was asked for by name.
func (seen DiskMeasurement) lossMismatches(want Disk) []string {
	if seen.LostBy == want.Names.String() || seen.LostBy == NamesUntold && want.Names == NamesJournaled {
		return nil
	}
	return []string{fmt.Sprintf("its loss of power was seen to take names by %s, not %s", cmp.Or(seen.LostBy, "nothing that was told"), want.Names)}
}

func errno(failing bool, name string) string {
	if failing {
		return name
	}
	return ""
}

func outcome(name string) string {
	if name == "" {
		return "succeeded"
	}
	return "failed with " + name
}
