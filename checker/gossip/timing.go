package gossip

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Timing is the effective configuration of a pool: what memberlist's Config has, and what decides how fast views
// converge. It is a plain value that prints, parses back and compares; the names are those of files and of --set.
type Timing struct {
	ProbeInterval  time.Duration `yaml:"probe-interval" json:"probe-interval"`
	ProbeTimeout   time.Duration `yaml:"probe-timeout" json:"probe-timeout"`
	IndirectChecks int           `yaml:"indirect-checks" json:"indirect-checks"`

	SuspicionMult           int `yaml:"suspicion-mult" json:"suspicion-mult"`
	SuspicionMaxTimeoutMult int `yaml:"suspicion-max-timeout-mult" json:"suspicion-max-timeout-mult"`
	AwarenessMaxMultiplier  int `yaml:"awareness-max-multiplier" json:"awareness-max-multiplier"`

	RetransmitMult  int           `yaml:"retransmit-mult" json:"retransmit-mult"`
	GossipInterval  time.Duration `yaml:"gossip-interval" json:"gossip-interval"`
	GossipNodes     int           `yaml:"gossip-nodes" json:"gossip-nodes"`
	GossipToTheDead time.Duration `yaml:"gossip-to-the-dead" json:"gossip-to-the-dead"`

	PushPullInterval time.Duration `yaml:"push-pull-interval" json:"push-pull-interval"` // 0: never
	TCPTimeout       time.Duration `yaml:"tcp-timeout" json:"tcp-timeout"`
	DisableTCPPings  bool          `yaml:"disable-tcp-pings,omitempty" json:"disable-tcp-pings,omitempty"`
	UDPBuffer        int           `yaml:"udp-buffer" json:"udp-buffer"` // bytes that a packet may have

	// ReconnectInterval is how often an agent tries to reach a member that failed, with the probability
	// failed/alive, as Serf does. 0: never, as memberlist by itself.
	ReconnectInterval time.Duration `yaml:"reconnect-interval,omitempty" json:"reconnect-interval,omitempty"`
}

// LAN is memberlist.DefaultLANConfig.
func LAN() Timing {
	return Timing{
		ProbeInterval: time.Second, ProbeTimeout: 500 * time.Millisecond, IndirectChecks: 3,
		SuspicionMult: 4, SuspicionMaxTimeoutMult: 6, AwarenessMaxMultiplier: 8,
		RetransmitMult: 4, GossipInterval: 200 * time.Millisecond, GossipNodes: 3, GossipToTheDead: 30 * time.Second,
		PushPullInterval: 30 * time.Second, TCPTimeout: 10 * time.Second, UDPBuffer: 1400,
	}
}

// WAN is memberlist.DefaultWANConfig.
func WAN() Timing {
	t := LAN()
	t.ProbeInterval, t.ProbeTimeout = 5*time.Second, 3*time.Second
	t.SuspicionMult = 6
	t.GossipInterval, t.GossipNodes, t.GossipToTheDead = 500*time.Millisecond, 4, 60*time.Second
	t.PushPullInterval, t.TCPTimeout = 60*time.Second, 30*time.Second
	return t
}

// Local is memberlist.DefaultLocalConfig.
func Local() Timing {
	t := LAN()
	t.ProbeTimeout, t.IndirectChecks = 200*time.Millisecond, 1
	t.SuspicionMult, t.RetransmitMult = 3, 2
	t.GossipInterval, t.GossipToTheDead = 100*time.Millisecond, 15*time.Second
	t.PushPullInterval, t.TCPTimeout = 15*time.Second, time.Second
	return t
}

// Profiles are the timings that have a name.
var Profiles = map[string]func() Timing{"lan": LAN, "wan": WAN, "local": Local}

// SWIM is the same without what Lifeguard added: suspicion has one fixed timeout, and a member that suspects itself
// to be slow probes no slower.
func (t Timing) SWIM() Timing {
	t.SuspicionMaxTimeoutMult, t.AwarenessMaxMultiplier = 1, 1
	return t
}

// Validate reports values with which memberlist does not do what the formulas describe.
func (t Timing) Validate() error {
	var all []error
	bad := func(is bool, format string, args ...any) {
		if is {
			all = append(all, fmt.Errorf(format, args...))
		}
	}
	bad(t.ProbeInterval <= 0, "probe-interval %v: it must be positive", t.ProbeInterval)
	bad(t.ProbeTimeout <= 0 || t.ProbeTimeout > t.ProbeInterval, "probe-timeout %v: it must be positive and at most probe-interval, %v", t.ProbeTimeout, t.ProbeInterval)
	bad(t.IndirectChecks < 0, "indirect-checks %d: it must not be negative", t.IndirectChecks)
	bad(t.SuspicionMult < 1 || t.SuspicionMult > 32, "suspicion-mult %d: it must be 1 to 32", t.SuspicionMult)
	bad(t.SuspicionMaxTimeoutMult < 1, "suspicion-max-timeout-mult %d: it must be at least 1", t.SuspicionMaxTimeoutMult)
	bad(t.AwarenessMaxMultiplier < 1 || t.AwarenessMaxMultiplier > 100, "awareness-max-multiplier %d: it must be 1 to 100", t.AwarenessMaxMultiplier)
	bad(t.RetransmitMult < 1 || t.RetransmitMult > 32, "retransmit-mult %d: it must be 1 to 32", t.RetransmitMult)
	bad(t.GossipInterval <= 0, "gossip-interval %v: it must be positive", t.GossipInterval)
	bad(t.GossipNodes < 1 || t.GossipNodes > 64, "gossip-nodes %d: it must be 1 to 64", t.GossipNodes)
	bad(t.GossipToTheDead < 0, "gossip-to-the-dead %v: it must not be negative", t.GossipToTheDead)
	bad(t.PushPullInterval < 0, "push-pull-interval %v: it must not be negative", t.PushPullInterval)
	bad(t.TCPTimeout <= 0, "tcp-timeout %v: it must be positive", t.TCPTimeout)
	bad(t.UDPBuffer < 256, "udp-buffer %d: it must be at least 256", t.UDPBuffer)
	bad(t.ReconnectInterval < 0, "reconnect-interval %v: it must not be negative", t.ReconnectInterval)
	for _, d := range []time.Duration{t.ProbeInterval, t.GossipInterval, t.PushPullInterval, t.TCPTimeout, t.GossipToTheDead, t.ReconnectInterval} {
		bad(d > longest, "%v: it must be at most %v", d, longest)
	}
	return errors.Join(all...)
}

// longest keeps products of durations far from overflow.
const longest = 24 * time.Hour

// SuspicionMin is the least time from a suspicion to a death among n members (util.go, suspicionTimeout).
func (t Timing) SuspicionMin(n int) time.Duration {
	scale := max(1, math.Log10(max(1, float64(n))))
	return time.Duration(t.SuspicionMult) * time.Duration(scale*1000) * t.ProbeInterval / 1000
}

// SuspicionMax is the time from a suspicion that nobody confirms to a death (state.go, suspectNode).
func (t Timing) SuspicionMax(n int) time.Duration {
	return time.Duration(t.SuspicionMaxTimeoutMult) * t.SuspicionMin(n)
}

// Confirmations is k: how many others must suspect a member for the timeout to be the least. In a pool that has too
// few for them it is 0, and the timeout always the least.
func (t Timing) Confirmations(n int) int {
	k := t.SuspicionMult - 2
	if n-2 < k || k < 0 {
		return 0
	}
	return k
}

// SuspicionTimeout is the time from a suspicion to a death when so many others have confirmed it: max − ln(c+1)/ln(k+1) ·
// (max − min), in whole milliseconds (suspicion.go, remainingSuspicionTime).
func (t Timing) SuspicionTimeout(n, confirmations int) time.Duration {
	low, high, k := t.SuspicionMin(n), t.SuspicionMax(n), t.Confirmations(n)
	switch {
	case k == 0:
		return low
	case confirmations <= 0:
		return high
	}
	share := math.Log(float64(confirmations)+1) / math.Log(float64(k)+1)
	seconds := high.Seconds() - share*(high.Seconds()-low.Seconds())
	return max(low, time.Duration(math.Floor(1000*seconds))*time.Millisecond)
}

// RetransmitLimit is how many copies of a broadcast each member sends in all (util.go, retransmitLimit).
func (t Timing) RetransmitLimit(n int) int {
	return t.RetransmitMult * int(math.Ceil(math.Log10(float64(n+1))))
}

// PushPullEvery is how often each member exchanges its whole state with another (util.go, pushPullScale). 0: never.
func (t Timing) PushPullEvery(n int) time.Duration {
	const threshold = 32
	if n <= threshold {
		return t.PushPullInterval
	}
	return time.Duration(math.Ceil(math.Log2(float64(n))-math.Log2(threshold))+1) * t.PushPullInterval
}

// DetectionLimit is when a member that crashed must be known dead at some member without loss, whatever was drawn: two
// passes of a round-robin but one, a probe, and the longest suspicion. It is the sum of rare worst cases: nothing to judge by.
func (t Timing) DetectionLimit(n int) time.Duration {
	longest := t.SuspicionMax(n)
	if t.Confirmations(n) == 0 {
		longest = t.SuspicionMin(n)
	}
	return time.Duration(2*(n-1))*t.ProbeInterval + longest
}
