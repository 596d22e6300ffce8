package main

import (
	"time"

	"faultline"
	"faultline/checker"
	"faultline/cmd/faultline/output"
	"faultline/cmd/internal/suite"
	"faultline/nemesis"
	"faultline/workloads/history"
)

// runDocument is a judged run as --json prints it.
func runDocument(o faultline.Outcome) output.Run {
	r := o.Report
	return output.Run{Scenario: r.Scenario, Seed: r.Seed, Verdict: o.Verdict, Results: resultDocuments(o.Results), Directory: o.Dir,
		Command: r.Command, Started: r.Started, LengthSeconds: r.Length.Seconds(), Runtime: r.Runtime, System: r.System,
		Notes: r.Notes, Versions: r.Versions}
}

func runDocuments(outcomes []faultline.Outcome) []output.Run {
	all := []output.Run{}
	for _, o := range outcomes {
		all = append(all, runDocument(o))
	}
	return all
}

func resultDocuments(results []checker.Result) []output.Result {
	all := []output.Result{}
	for _, r := range results {
		document := output.Result{Checker: r.Checker, Verdict: r.Verdict, Summary: r.Summary, Reasons: r.Reasons, Budget: r.Budget}
		for _, f := range r.Metrics {
			document.Metrics = append(document.Metrics, output.Metric(f))
		}
		for _, c := range r.Counterexamples {
			example := output.Counterexample{Key: c.Key, Why: c.Why, Of: c.Of, Picture: c.File}
			for i := range c.Ops {
				example.Operations = append(example.Operations, operationDocument(&c.Ops[i]))
			}
			document.Counterexamples = append(document.Counterexamples, example)
		}
		all = append(all, document)
	}
	return all
}

func operationDocument(op *history.Operation) output.Operation {
	document := output.Operation{ID: op.ID, Process: int64(op.Process), Node: op.Node, Operation: string(op.F), Mode: string(op.Mode),
		Key: op.Key, Input: op.Input, Output: op.Output, InvokedSeconds: time.Duration(op.Invoke).Seconds(),
		Type: string(op.Type), Error: string(op.Error), ModifyIndex: op.ModifyIndex}
	if op.Return != history.Pending {
		document.ReturnedSeconds = new(time.Duration(op.Return).Seconds())
	}
	return document
}

// suiteDocument is what became of so many scenarios; stopped is why some have no verdict.
func suiteDocument(result suite.Result, scenarios int, stopped error) output.Suite {
	document := output.Suite{Name: result.Name, Verdict: result.Verdict(), Runs: runDocuments(result.Outcomes), Missing: scenarios - len(result.Outcomes)}
	if document.Missing > 0 {
		document.Verdict = checker.Worst(document.Verdict, checker.Unknown)
	}
	if stopped != nil {
		document.Stopped = stopped.Error()
	}
	return document
}

// proofsDocument is what became of planted defects.
func proofsDocument(proofs []suite.Proof) output.Proofs {
	document := output.Proofs{Proofs: []output.Proof{}}
	document.Caught, document.FalseAlarms, document.Verdict = judgeProofs(proofs)
	for _, p := range proofs {
		document.Proofs = append(document.Proofs, output.Proof{Scenario: p.Scenario.Name, Defects: p.Scenario.Defects,
			Caught: p.Caught(), Silent: p.Silent(), With: runDocuments(p.With), Without: runDocument(p.Without)})
	}
	return document
}

// trialDocument is a fault that was tried on a runtime.
func trialDocument(runtime string, t nemesis.Trial) output.Trial {
	document := output.Trial{Runtime: runtime, Fault: t.Step.Label(), OK: t.Err == nil, Asked: t.Asked,
		Measured: t.Measured, Healed: t.Healed, TookSeconds: t.Took.Seconds()}
	if t.Err != nil {
		document.Error = t.Err.Error()
	}
	return document
}
