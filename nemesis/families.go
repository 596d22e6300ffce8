package nemesis

import "slices"

// Family is a kind of trouble that Generate can be asked for by name.
type Family struct {
	Name   string
	Doc    string
	Faults []string

	variants []variant
}

// variant is one fault with one target, and how often it is drawn beside the others of
// its family.
type variant struct {
	weight int
	fault  string
	target string // a word, or someClient
}

// someClient stands for one client agent by name; topologies without one never draw it.
const someClient = "a client agent"

// betweenTwo stands for the links between two datacenters; topologies of one never draw it.
const betweenTwo = "between two datacenters"

// families is sorted by name.
var families = []Family{
	{"clock", "clocks are wrong", []string{"clock"},
		[]variant{{3, "clock", One}, {3, "clock", Primary}, {2, "clock", Minority}, {2, "clock", Majority}, {1, "clock", All}}},
	{"deposed", "the leader sleeps until another leads and wakes to reads", []string{"deposed-leader-reads"},
		[]variant{{1, "deposed-leader-reads", Primary}}},
	{"disk", "disks are slow, full, fail, or hold what nobody wrote", []string{"bit-flip", "disk", "truncate"},
		[]variant{{3, "disk", One}, {3, "disk", Primary}, {2, "disk", Minority}}},
	{"join", "a spare server joins, and leaves again", []string{"join"},
		[]variant{{1, "join", Spare}}},
	{"kill", "processes end by kill -9 and are started again", []string{"kill"},
		[]variant{{3, "kill", One}, {3, "kill", Primary}, {2, "kill", Minority}, {2, "kill", Majority}, {1, "kill", All}, {1, "kill", someClient}}},
	{"leave", "a server leaves gracefully and rejoins", []string{"leave"},
		[]variant{{2, "leave", One}, {1, "leave", Primary}}},
	{"link", "packets are lost, late, doubled, damaged, too many", []string{"link"},
		[]variant{{3, "link", All}, {2, "link", One}, {1, "link", Minority}, {2, "link", Majority}, {3, "link", Primary}}},
	{"partition", "links are cut", []string{"partition"},
		[]variant{{2, "partition", One}, {2, "partition", Minority}, {3, "partition", Majority},
			{2, "partition", Ring}, {2, "partition", Bridge}, {4, "partition", Primary}}},
	{"pause", "processes stop and continue", []string{"pause"},
		[]variant{{3, "pause", One}, {4, "pause", Primary}, {2, "pause", Minority}, {2, "pause", Majority}, {1, "pause", All}, {1, "pause", someClient}}},
	{"power", "machines lose their power, and what was not synced", []string{"power-loss"},
		[]variant{{2, "power-loss", One}, {3, "power-loss", Primary}, {1, "power-loss", Minority}, {2, "power-loss", Majority}, {3, "power-loss", All}}},
	{"remove", "a server that is down is removed from the peer set, and comes back", []string{"remove"},
		[]variant{{2, "remove", One}, {1, "remove", Primary}}},
	{"replace", "a machine is replaced by an empty one at its address", []string{"replace"},
		[]variant{{2, "replace", One}, {1, "replace", Primary}}},
	{"restart", "servers are restarted one after the other, or killed again while they recover", []string{"restart-storm", "rolling-restart"},
		[]variant{{2, "restart-storm", One}, {2, "restart-storm", Primary}, {1, "restart-storm", Majority}, {1, "restart-storm", All}, {2, "rolling-restart", All}}},
	{"transfer", "leadership is handed over", []string{"transfer"},
		[]variant{{1, "transfer", Primary}}},
	{"wan", "links between datacenters are cut or bad, and leaders die with work of others", []string{"flap", "link", "partition", "remote-leader-kill"},
		[]variant{{3, "partition", betweenTwo}, {2, "partition", Datacenter}, {1, "partition", WAN},
			{3, "link", betweenTwo}, {1, "link", Datacenter}, {2, "link", WAN}, {2, "flap", betweenTwo}, {1, "flap", Datacenter}, {2, "remote-leader-kill", Primary}}},
}

// Families lists all of them, sorted by name.
func Families() []Family { return slices.Clone(families) }
