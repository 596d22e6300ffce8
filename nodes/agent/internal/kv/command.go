package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Op is what a Command does.
type Op uint8

const (
	Put        Op = 1
	CAS        Op = 2 // Put, if the key's modify index is Index (0: if it is absent)
	Delete     Op = 3
	DeleteCAS  Op = 4 // Delete, if the key's modify index is Index; an absent key is deleted already
	DeleteTree Op = 5 // Delete every key that begins with Key
	Barrier    Op = 6 // nothing; when it is applied, so is everything before it

	SessionCreate  Op = 7  // Value is the Session, Key its ID
	SessionDestroy Op = 8  // Key is the session's ID; one that does not exist is destroyed already
	Acquire        Op = 9  // Put, if Session, which must exist, holds the key or nobody does; then it does
	Release        Op = 10 // Put, if Session holds the key; then nobody does

	Append Op = 11 // Value, a JSON value, becomes the last element of the list that the key holds; an absent key holds an empty one

	lastOp = Append
)

// Command is a change of the store, as one entry of the Raft log.
type Command struct {
	Op    Op
	Key   string
	Value []byte
	Flags uint64
	Index uint64

	Session string // for Acquire and Release
}

// MaxField bounds one string of a command or of a snapshot, so that a damaged length
// cannot ask for the machine's memory.
const MaxField = 16 << 20

// Append adds the command's bytes to b: the op, then Key and Value each after its
// length, then Flags and Index, then Session after its length; numbers are unsigned varints.
func (c Command) Append(b []byte) []byte {
	b = append(b, byte(c.Op))
	b = appendBytes(b, []byte(c.Key))
	b = appendBytes(b, c.Value)
	b = binary.AppendUvarint(b, c.Flags)
	b = binary.AppendUvarint(b, c.Index)
	return appendBytes(b, []byte(c.Session))
}

var errShort = errors.New("kv: the command is cut off")

// ParseCommand reads what Append wrote. The command does not keep data.
func ParseCommand(data []byte) (Command, error) {
	if len(data) == 0 {
		return Command{}, errShort
	}
	c := Command{Op: Op(data[0])}
	if c.Op == 0 || c.Op > lastOp {
		return Command{}, fmt.Errorf("kv: unknown operation %d", c.Op)
	}
	rest := data[1:]
	key, rest, err := takeBytes(rest)
	if err != nil {
		return Command{}, err
	}
	value, rest, err := takeBytes(rest)
	if err != nil {
		return Command{}, err
	}
	if c.Flags, rest, err = takeUint(rest); err != nil {
		return Command{}, err
	}
	if c.Index, rest, err = takeUint(rest); err != nil {
		return Command{}, err
	}
	session, rest, err := takeBytes(rest)
	if err != nil {
		return Command{}, err
	}
	if len(rest) > 0 {
		return Command{}, fmt.Errorf("kv: %d bytes after the command", len(rest))
	}
	c.Key, c.Session = string(key), string(session)
	c.Value = append([]byte(nil), value...)
	return c, nil
}

func appendBytes(b, field []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

func takeBytes(data []byte) (field, rest []byte, err error) {
	n, rest, err := takeUint(data)
	if err != nil {
		return nil, nil, err
	}
	if n > uint64(len(rest)) {
		return nil, nil, errShort
	}
	return rest[:n], rest[n:], nil
}

func takeUint(data []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, errShort
	}
	return v, data[n:], nil
}
