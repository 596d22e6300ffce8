package gossip

// Bytes of memberlist's messages in packets, IP and UDP headers included, for names of ten letters and IPv4, compressed as memberlist does;
// the package model's tests measure them.
const (
	PingBytes      = 28 + 70
	AckBytes       = 28 + 25
	IndirectBytes  = 28 + 130
	SuspectBytes   = 56
	AliveBytes     = 96
	DeadBytes      = 54
	PacketBytes    = 28 + 10 // of a packet with broadcasts, without these
	StateBytes     = 40      // of a member in a push/pull
	ExchangeBytes  = 500     // of a push/pull, without these: headers of TCP/IP, the handshake
	CompoundHeader = 2
)

// Traffic is what a member sends, on average.
type Traffic struct {
	PacketsPerSecond float64 `json:"packets_per_second"` // datagrams; probes and their acks, nothing changing
	BytesPerSecond   float64 `json:"bytes_per_second"`   // with push/pulls
	BroadcastBytes   float64 `json:"broadcast_bytes"`    // for each broadcast of anybody, on top
}

func (p Pool) traffic() Traffic {
	probes := 1 / p.Timing.ProbeInterval.Seconds()
	fails := p.Loss * (2 - p.Loss) // and asks helpers
	indirect := probes * fails * float64(p.helpers())
	t := Traffic{PacketsPerSecond: 2*probes + 4*indirect,
		BytesPerSecond: probes*(PingBytes+AckBytes) + indirect*(IndirectBytes+PingBytes+2*AckBytes)}
	if every := p.Timing.PushPullEvery(p.Members).Seconds(); every > 0 {
		t.BytesPerSecond += (2*StateBytes*float64(p.Members) + ExchangeBytes) / every
	}
	t.BroadcastBytes = float64(p.Timing.RetransmitLimit(p.Members)) * (PacketBytes + AliveBytes)
	return t
}
