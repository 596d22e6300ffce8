package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"faultline/nodes"
)

const (
	stableMagic = "FLTLSTB1"
	stableFile  = "stable"
)

var errShort = errors.New("it ends too early")

func openStable(disk nodes.Disk, dir string) (map[string][]byte, error) {
	name := path.Join(dir, stableFile)
	data, found, err := readFile(disk, name)
	if err != nil {
		return nil, err
	}
	if !found {
		return map[string][]byte{}, nil
	}
	values, err := decodeStable(data)
	if err != nil {
		return nil, &CorruptError{name, 0, err.Error()}
	}
	return values, nil
}

// Set stores a value durably.
func (l *Log) Set(key, value []byte) error {
	return l.change(func() error {
		if old, ok := l.stable[string(key)]; ok && bytes.Equal(old, value) {
			return nil // what stands there is durable
		}
		next := maps.Clone(l.stable)
		next[string(key)] = bytes.Clone(value)
		if err := replaceFile(l.disk, path.Join(l.dir, stableFile), encodeStable(next)); err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stable = next
		return nil
	})
}

// Get is the value of a key; nil if it was never set.
func (l *Log) Get(key []byte) ([]byte, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return bytes.Clone(l.stable[string(key)]), nil
}

// SetUint64 stores a number durably; Get sees it as 8 bytes.
func (l *Log) SetUint64(key []byte, value uint64) error {
	return l.Set(key, binary.LittleEndian.AppendUint64(nil, value))
}

// GetUint64 is the number of a key; 0 if it was never set.
func (l *Log) GetUint64(key []byte) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	value, ok := l.stable[string(key)]
	if !ok {
		return 0, nil
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("the value of %q is no number: it has %d bytes", key, len(value))
	}
	return binary.LittleEndian.Uint64(value), nil
}

func encodeStable(values map[string][]byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(stableMagic), uint32(len(values)))
	for _, key := range slices.Sorted(maps.Keys(values)) {
		b = appendBytes(b, []byte(key))
		b = appendBytes(b, values[key])
	}
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func decodeStable(data []byte) (map[string][]byte, error) {
	if len(data) < len(stableMagic)+8 {
		return nil, errShort
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if checksum(body) != sum {
		return nil, errors.New("its checksum is wrong")
	}
	if string(body[:len(stableMagic)]) != stableMagic {
		return nil, errors.New("it does not begin like a stable store")
	}
	body = body[len(stableMagic):]
	count := binary.LittleEndian.Uint32(body)
	body = body[4:]
	values := map[string][]byte{}
	for range count {
		var key, value []byte
		var err error
		if key, body, err = cutBytes(body); err != nil {
			return nil, err
		}
		if value, body, err = cutBytes(body); err != nil {
			return nil, err
		}
		values[string(key)] = bytes.Clone(value)
	}
	if len(body) > 0 || len(values) != int(count) {
		return nil, errors.New("its keys are not as counted")
	}
	return values, nil
}

func appendBytes(b, part []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(part))), part...)
}

func cutBytes(b []byte) (part, rest []byte, err error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, nil, errShort
	}
	end := 4 + int(binary.LittleEndian.Uint32(b))
	return b[4:end], b[end:], nil
}
