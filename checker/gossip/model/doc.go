// Package model plays memberlist's protocol for 2 to 200,000 members, from moment to moment, in one process without goroutines.
//
//	r, err := model.Run(model.Config{Timing: gossip.LAN(), Members: 1000, Loss: .05, Delay: time.Millisecond, Duration: time.Minute,
//		Actions: []model.Action{{At: time.Second, Kind: model.Crash, Member: 7}}})
//	r.Outcomes[0].Everywhere // when all the others knew
//	r.Outcomes[0].Times      // the curve
//
// It has round-robin probes with helpers, nacks and TCP, suspicions with confirmations, Lifeguard's awareness ([gossip.Timing.SWIM] is without),
// broadcasts that are piggybacked and sent so many times, push/pull, joins, leaves, Serf's reconnects, loss of all and of single members,
// partitions and pauses. A process that is paused finds timers that are over when it goes on, and then its packets.
//
// Cost goes with what happens, not with N²: a member has views (13 bytes for each observer, 38 with suspicions) from its first change until
// all agree again. A probe that finds nothing new is one step. A broadcast costs N·L copies. 100,000 members for 10 virtual minutes with ten
// crashes and ten updates at 1 % loss took 48 s of one core, and 560 MB were allocated in all. A split of N members needs all N² views: Config.MemoryMB refuses it in time.
//
// It is not exact in these: all packets take the same time; a push/pull happens at one moment; members of a pass come in the order of a random
// stride; what a member tells of itself has the average size.
//
// Medians against memberlist 0.7.0 in virtual time, LAN, no loss, 1 ms (TestTheModelIsMemberlist; of 48 updates and 12 crashes at 10, 10 and 6 at 100):
//
//	members  update everywhere   death at the first   death everywhere
//	10       0.274 s, 0.271 s    5.67 s, 5.68 s       5.73 s, 5.83 s
//	100      0.635 s, 0.602 s    9.78 s, 9.69 s       10.21 s, 10.05 s
package model
