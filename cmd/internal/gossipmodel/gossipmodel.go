// Package gossipmodel answers `faultline gossip-model`: bounds by formulas beside what the model shows, and settings that do what is wanted.
package gossipmodel

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"faultline/checker/gossip"
	"faultline/checker/gossip/model"
	"faultline/cmd/faultline/output"
)

// Question is what the flags ask.
type Question struct {
	gossip.Pool
	Want *gossip.Want
	Runs int
	Seed uint64
}

// most is how many members the model plays.
const most = 200_000

// Validate reports what cannot be asked.
func (q Question) Validate() error {
	all := []error{q.Timing.Validate()}
	if q.Members < 2 || q.Members > most {
		all = append(all, fmt.Errorf("%d members: there must be 2 to %d", q.Members, most))
	}
	if !(q.Loss >= 0 && q.Loss <= .9) {
		all = append(all, fmt.Errorf("loss %v: it must be 0 to 0.9", q.Loss))
	}
	if q.Delay < 0 || q.Delay > time.Minute {
		all = append(all, fmt.Errorf("delay %v: it must be 0 to 1m", q.Delay))
	}
	if q.Runs < 0 {
		all = append(all, fmt.Errorf("runs %d: it must not be negative", q.Runs))
	}
	return errors.Join(all...)
}

// settings is how many are looked for.
const settings = 3

// Ask answers it.
func Ask(q Question) (output.GossipModel, error) {
	answer := output.GossipModel{Members: q.Members, Loss: q.Loss, DelaySeconds: q.Delay.Seconds(), Pools: []output.GossipPool{}}
	timings := []gossip.Timing{q.Timing}
	if q.Want != nil {
		timings = q.Search(*q.Want, settings)
	}
	for _, t := range timings {
		q.Timing = t
		pool, err := ask(q)
		if err != nil {
			return answer, err
		}
		answer.Pools = append(answer.Pools, pool)
	}
	return answer, nil
}

func ask(q Question) (output.GossipPool, error) {
	b := q.Bounds()
	runs := q.Runs
	if runs == 0 {
		runs = max(2, min(200, 20_000/q.Members))
	}
	s, err := model.Samples(model.Config{Timing: q.Timing, Members: q.Members, Loss: q.Loss, Delay: q.Delay, Seed: q.Seed}, runs)
	if err != nil {
		return output.GossipPool{}, err
	}
	return output.GossipPool{
		Timing: q.Timing.String(), Runs: runs,
		Times: []output.GossipTime{
			row("update, by gossip", b.Dissemination.Gossip, s.Updates),
			row("update, everywhere", b.Dissemination.Quantiles, nil),
			row("crash suspected", b.Suspected, s.Suspected),
			row("crash known at the first", b.Dead, s.First),
			row("crash known everywhere", b.DeadEverywhere.Quantiles, s.Dead),
			row("join known everywhere", b.Joined.Quantiles, nil),
			row("leave known everywhere", b.Left.Quantiles, nil),
			row("suspicion refuted", b.Refuted.Quantiles, nil),
		},
		LeftOut: b.Dissemination.LeftOut, ModelLate: s.Late,
		SuspicionsPerDay: b.Mistakes.SuspicionsPerSecond * 86400, FalseDeathsPerDay: b.Mistakes.DeathsPerSecond * 86400, ModelFalseDeaths: s.FalseDeaths,
		BytesPerSecond: b.Traffic.BytesPerSecond, BroadcastBytes: b.Traffic.BroadcastBytes,
	}, nil
}

func row(what string, bound gossip.Quantiles, sample []time.Duration) output.GossipTime {
	r := output.GossipTime{What: what, BoundSeconds: seconds(bound)}
	if sample != nil {
		r.ModelSeconds = seconds(gossip.Measured(sample))
	}
	return r
}

// seconds has null for what may never happen.
func seconds(q gossip.Quantiles) (all []*float64) {
	for _, d := range q.List() {
		if d == gossip.Never {
			all = append(all, nil)
			continue
		}
		s := d.Seconds()
		all = append(all, &s)
	}
	return all
}

// Print writes an answer for people.
func Print(out io.Writer, q Question, answer output.GossipModel) {
	if len(answer.Pools) == 0 {
		fmt.Fprintf(out, "No settings of the grid do that with %d members at %.3g %% loss.\n", q.Members, 100*q.Loss)
		return
	}
	for i, p := range answer.Pools {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s: %d members, %.3g %% loss, %v one way\n", p.Timing, answer.Members, 100*answer.Loss, q.Delay)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "\tbound p50\tp90\tp99\tp99.9\tmodel p50\tp90\tp99\n")
		for _, t := range p.Times {
			fmt.Fprint(w, t.What)
			for _, s := range t.BoundSeconds {
				fmt.Fprint(w, "\t", cell(s))
			}
			for _, s := range t.ModelSeconds[:min(3, len(t.ModelSeconds))] {
				fmt.Fprint(w, "\t", cell(s))
			}
			fmt.Fprintln(w)
		}
		_ = w.Flush() // as Fprint
		fmt.Fprintf(out, "gossip leaves out %.2g members of a broadcast; %d of %d in the model left to push/pull\n", p.LeftOut, p.ModelLate, p.Runs)
		fmt.Fprintf(out, "live members: %.2g suspicions and %.2g false deaths a day by the formula; %d false deaths in the model\n", p.SuspicionsPerDay, p.FalseDeathsPerDay, p.ModelFalseDeaths)
		fmt.Fprintf(out, "each member sends %.0f bytes/s, and %.0f for each broadcast\n", p.BytesPerSecond, p.BroadcastBytes)
	}
}

func cell(seconds *float64) string {
	if seconds == nil {
		return "never"
	}
	return fmt.Sprintf("%.2fs", *seconds)
}
