// Package gossip says by when a pool of memberlist must have found out, as values computed from its own settings.
//
//	pool := gossip.Pool{Timing: gossip.LAN(), Members: 15, Loss: .1, Delay: time.Millisecond}
//	b := pool.Bounds()
//	b.DeadEverywhere.P999   // by then all know of a crash, in 99.9 % of cases
//	b.Dissemination.LeftOut // members that gossip leaves out of a broadcast, on average: push/pull finds them
//
// A [Timing] is the effective configuration of a member. The derivations are beside the code: of one broadcast (spread), of what
// probing in passes finds (passes, hazard), of suspicions and their confirmations (suspicionRun), of mistakes by loss alone (probeFails,
// unrefuted), of TCP at loss (ExchangeTime). The reference is the source of memberlist 0.7.0; the theory is that of the SWIM paper
// (Das, Gupta, Motivala, DSN 2002), Lifeguard (Dadgar, Phillips, Currey, DSN 2018) and Janson's theorem on first-passage percolation.
//
// Bounds err on the side of later: a broadcast counts as if copies of one tick could meet, a crash as known everywhere only by its broadcast
// though the timers of all run, loss as if every prober had known it for long. Measured on memberlist in virtual time and on
// [faultline/checker/gossip/model], medians lie between 70 and 100 % of them. Judge by the 99.9 %, not by DetectionLimit, which is a sum of
// rare worst cases and catches nothing.
//
// What is not in them: a host that is slow or paused, a link that differs from the others, churn while something spreads, packets that
// are full. The model has these. And one thing of memberlist's: its two tickers begin when a member does, and the random stagger that is
// meant to part them does not move them, so members that are started together gossip and probe together.
package gossip
