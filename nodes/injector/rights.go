package injector

import "fmt"

// NotHere is in every error that says what this machine lacks for some faults, and the way
// out.
const NotHere = "do not work here"

// Rights is what a pod is made for beyond the faults of links and processes. Each costs
// something: capabilities that an engine may refuse, and time at every start of a node or
// at every write. So a pod has only those that its run asks for.
type Rights struct {
	Clock bool `json:"clock,omitempty"` // to write to the memory of the node's process
	Disk  bool `json:"disk,omitempty"`  // to mount a file system between the node and its data
}

// The words for rights on a command line.
const (
	RightClock = "clock"
	RightDisk  = "disk"
)

// Words are the rights as arguments of a command.
func (r Rights) Words() []string {
	var words []string
	if r.Clock {
		words = append(words, RightClock)
	}
	if r.Disk {
		words = append(words, RightDisk)
	}
	return words
}

// ParseRights reads what Words has written.
func ParseRights(words []string) (r Rights, err error) {
	for _, w := range words {
		switch w {
		case RightClock:
			r.Clock = true
		case RightDisk:
			r.Disk = true
		default:
			return r, fmt.Errorf("no right %q: want %s or %s", w, RightClock, RightDisk)
		}
	}
	return r, nil
}
