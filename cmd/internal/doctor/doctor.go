// Package doctor looks at what runs need of this machine: what it offers, what is missing,
// and how to fix that.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"faultline"
	"faultline/checker/rundir"
	"faultline/cmd/internal/catalogue"
	"faultline/nodes/programs"
)

// Finding is what Examine says of one thing that runs need.
type Finding struct {
	What string
	Good string // how it is
	Err  error  // what is missing and how to fix it; nil if nothing is
	Need Need
}

// Need is which runs cannot do without a thing.
type Need int

const (
	EveryRun Need = iota // no run can
	AnyOf                // one of the findings with this need is enough: runtimes
	SomeRuns             // those that ask for it; they are refused by name
)

// String is the need in a word.
func (n Need) String() string {
	switch n {
	case EveryRun:
		return "every-run"
	case AnyOf:
		return "one-of"
	default:
		return "some-runs"
	}
}

// Failing counts the findings over which this machine can run nothing: what every run
// needs and this machine lacks, and all runtimes if it offers none.
func Failing(findings []Finding) (failing int) {
	offered, lacking := 0, 0
	for _, f := range findings {
		switch {
		case f.Need == EveryRun && f.Err != nil:
			failing++
		case f.Need == AnyOf && f.Err == nil:
			offered++
		case f.Need == AnyOf:
			lacking++
		}
	}
	if offered == 0 {
		failing += lacking
	}
	return failing
}

// Text is the finding for people.
func (f Finding) Text() string {
	if f.Err != nil {
		return f.Err.Error()
	}
	return f.Good
}

// Examine looks at this machine, and at the store of run directories, which need not exist.
func Examine(ctx context.Context, store string) []Finding {
	findings := []Finding{platform()}
	for _, p := range programs.All() {
		findings = append(findings, tried(ctx, p))
	}
	findings = append(findings, storeSpace(store), processors(), clocks())
	for _, line := range faultline.Default().Runtimes {
		f := Finding{What: "runtime " + line.Name, Need: AnyOf}
		rt := line.Make()
		if f.Err = rt.Check(ctx); f.Err == nil {
			f.Good = "can: " + strings.Join(catalogue.Words(rt.Capabilities()), ", ")
		}
		findings = append(findings, f)
		if f.Err == nil {
			findings = append(findings, Finding{What: "all faults, " + line.Name, Need: SomeRuns,
				Good: "pods can be given the rights that they take", Err: rt.Check(ctx, rt.Capabilities()...)})
		}
	}
	return findings
}

func platform() Finding {
	f := Finding{What: "platform", Good: runtime.GOOS + "/" + runtime.GOARCH + ", kernel " + rundir.Versions()["kernel"]}
	if runtime.GOOS != "linux" {
		f.Err = fmt.Errorf("%s: faults need a Linux kernel; run Faultline in a Linux machine", runtime.GOOS)
	}
	return f
}

// clocks says how far the faults of clocks have been tried on this kind of processor.
func clocks() Finding {
	f := Finding{What: "clocks", Need: SomeRuns, Good: runtime.GOARCH + ": tried on real kernels"}
	switch runtime.GOARCH {
	case "amd64":
	case "arm64":
		f.Good = "arm64: assembled, and tried on recorded kernels' vDSO images only; `doctor --deep` reports whether they work here"
	default:
		f.Err = fmt.Errorf("%s: clocks can be wrong on amd64 and arm64 only; other faults work", runtime.GOARCH)
	}
	return f
}

// tried makes a program that pods need, and runs it.
func tried(ctx context.Context, p programs.Program) (f Finding) {
	f.What = p.Name
	f.Good, f.Err = p.Try(ctx)
	return f
}

func storeSpace(store string) Finding {
	f := Finding{What: "store " + store}
	var free uint64
	free, f.Err = rundir.FreeSpace(store)
	f.Good = fmt.Sprintf("%d MiB free", free)
	return f
}

func processors() Finding {
	f := Finding{What: "processors", Good: fmt.Sprint(runtime.NumCPU())}
	if runtime.NumCPU() < 2 {
		f.Err = errors.New("only 1: a cluster and its clients starve each other; give the machine 2 or more")
	}
	return f
}
