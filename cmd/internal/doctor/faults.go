package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"faultline"
	"faultline/nemesis"
	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/topologies"
)

// trialNodes is the cluster on which faults are tried: two pods, so two directed links.
var trialNodes = topologies.Topology{Name: "trial", Datacenters: []topologies.Datacenter{
	{Name: "dc1", Servers: topologies.Members{Count: 2}}}}

// TryFaults tries every condition that faults are made of for real, on two pods of the
// runtime that it throws away. done is called with each trial as it ends. A trial that the
// machine did not pass is no error of TryFaults.
func TryFaults(ctx context.Context, rt nodes.Runtime, done func(nemesis.Trial)) (err error) {
	trials := slices.DeleteFunc(nemesis.Trials(trialNodes), func(step nemesis.Step) bool {
		for _, need := range (nemesis.Schedule{Steps: []nemesis.Step{step}}).Needs(trialNodes) {
			if !slices.Contains(rt.Capabilities(), need) {
				return true // it says itself that it cannot
			}
		}
		return false
	})
	trials, impossible := possible(ctx, rt, trials)
	if ctx.Err() != nil { // nothing that was looked at since says anything of the machine
		return faultline.ErrInterrupted
	}
	for _, t := range impossible {
		done(t)
	}
	system, err := faultline.Default().Systems[0].Make(faultline.Scenario{}.Defaults())
	if err != nil {
		return err
	}
	cluster, err := rt.Start(ctx, nodes.Spec{Run: runID(time.Now()), Topology: trialNodes,
		System: system, Log: slog.New(slog.DiscardHandler),
		Needs: nemesis.Schedule{Steps: trials}.Needs(trialNodes)})
	if err != nil {
		return fmt.Errorf("start on %s: %w", rt.Name(), err)
	}
	defer func() { err = errors.Join(err, nodes.Remove(ctx, cluster)) }()
	for _, step := range trials {
		if ctx.Err() != nil {
			return faultline.ErrInterrupted
		}
		done(nemesis.Try(ctx, step, nemesis.World{Topology: trialNodes, Cluster: cluster}))
	}
	return nil
}

// possible divides trials into those for which this machine can give pods the rights, and
// those for which it cannot.
func possible(ctx context.Context, rt nodes.Runtime, steps []nemesis.Step) (can []nemesis.Step, cannot []nemesis.Trial) {
	needs := func(steps ...nemesis.Step) []faults.Capability {
		return nemesis.Schedule{Steps: steps}.Needs(trialNodes)
	}
	if rt.Check(ctx, needs(steps...)...) == nil {
		return steps, nil
	}
	for _, step := range steps {
		if err := rt.Check(ctx, needs(step)...); err != nil {
			cannot = append(cannot, nemesis.Trial{Step: step, Err: err})
		} else {
			can = append(can, step)
		}
	}
	return can, cannot
}

// runID names the cluster on its machine.
func runID(started time.Time) string {
	return fmt.Sprintf("doctor-%s-%d", strings.ReplaceAll(started.Format("150405.000"), ".", "-"), os.Getpid())
}
