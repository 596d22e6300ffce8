package injector

import (
	"encoding/binary"
	"errors"
)

// A datagram of a probe is 16 bytes: a magic word that tells its kind, and the nonce,
// big-endian.
type datagram struct {
	kind  string // of length 8
	nonce uint64
}

const (
	probeKind  = "FLprobe1" // from a peer, for Heard
	markerKind = "FLmark_1" // from ourselves: all that came before it has been read
)

func (d datagram) encode() []byte {
	return binary.BigEndian.AppendUint64([]byte(d.kind), d.nonce)
}

func parseDatagram(data []byte) (datagram, error) {
	if len(data) != 16 {
		return datagram{}, errors.New("not 16 bytes")
	}
	d := datagram{kind: string(data[:8]), nonce: binary.BigEndian.Uint64(data[8:])}
	if d.kind != probeKind && d.kind != markerKind {
		return datagram{}, errors.New("an unknown kind")
	}
	return d, nil
}
