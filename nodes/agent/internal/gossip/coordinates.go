package gossip

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/coordinate"
)

// coordinates places the members of a pool in a space whose distances are round-trip times
// (Vivaldi, by serf's package coordinate). Every answer to a probe carries the coordinate of who
// answers, as Serf's does.
type coordinates struct {
	own *coordinate.Client

	mu    sync.Mutex
	known map[string]*coordinate.Coordinate // by name
}

func newCoordinates() (*coordinates, error) {
	own, err := coordinate.NewClient(coordinate.DefaultConfig())
	return &coordinates{own: own, known: map[string]*coordinate.Coordinate{}}, err
}

// AckPayload is for memberlist.
func (c *coordinates) AckPayload() []byte { return encodeCoordinate(c.own.GetCoordinate()) }

// NotifyPingComplete is for memberlist. A coordinate that makes no sense is left out.
func (c *coordinates) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, payload []byte) {
	theirs, err := parseCoordinate(payload)
	if err != nil {
		return
	}
	if _, err := c.own.Update(n.Name, theirs, rtt); err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[n.Name] = theirs
}

// Coordinates are the places of the members that are known, by name, this node's among them.
func (p *Pool) Coordinates() map[string]*coordinate.Coordinate {
	p.coords.mu.Lock()
	defer p.coords.mu.Unlock()
	all := maps.Clone(p.coords.known)
	all[p.config.Name] = p.coords.own.GetCoordinate()
	return all
}

// A coordinate travels as a version and big-endian floats: error, adjustment, height, and the
// vector.
const coordinateVersion = 1

const maxDimensions = 64

var errCoordinate = errors.New("gossip: a coordinate is damaged")

func encodeCoordinate(c *coordinate.Coordinate) []byte {
	b := []byte{coordinateVersion}
	for _, f := range append([]float64{c.Error, c.Adjustment, c.Height}, c.Vec...) {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(f))
	}
	return b
}

// parseCoordinate reads what encodeCoordinate wrote. Every number of it is finite.
func parseCoordinate(data []byte) (*coordinate.Coordinate, error) {
	const fixed, width = 3, 8
	if len(data) < 1+fixed*width || data[0] != coordinateVersion || (len(data)-1)%width != 0 || len(data) > 1+(fixed+maxDimensions)*width {
		return nil, errCoordinate
	}
	var numbers []float64
	for rest := data[1:]; len(rest) > 0; rest = rest[width:] {
		numbers = append(numbers, math.Float64frombits(binary.BigEndian.Uint64(rest)))
	}
	c := &coordinate.Coordinate{Error: numbers[0], Adjustment: numbers[1], Height: numbers[2], Vec: numbers[fixed:]}
	if !c.IsValid() {
		return nil, errCoordinate
	}
	return c, nil
}
