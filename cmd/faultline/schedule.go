package main

import (
	"os"

	"github.com/spf13/cobra"

	"faultline"
	"faultline/nemesis"
	"faultline/topologies"
	"faultline/topologies/strict"
)

func scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schedule",
		Short: "Make schedules of faults, and look at them",
		Args:  cobra.NoArgs, // an unknown subcommand would count as one
		RunE:  command(func(c *cobra.Command, _ []string) error { return c.Help() }),
	}
	c.AddCommand(scheduleMake(), scheduleShow())
	return c
}

func scheduleMake() *cobra.Command {
	var flags scenarioFlags
	c := &cobra.Command{
		Use:     "make [SCENARIO.yaml]",
		Short:   "Write the schedule that a scenario's families and seed make",
		Args:    cobra.MaximumNArgs(1),
		Example: "  faultline schedule make --topology dc1-5 --nemesis partition,kill --seed 7 > my.schedule.yaml",

		ValidArgsFunction: first(yamlFiles),
	}
	flags.add(c.Flags())
	c.RunE = command(func(c *cobra.Command, args []string) error {
		suite := []faultline.Scenario{fromFlags}
		if len(args) == 1 {
			s, err := faultline.LoadScenario(args[0])
			if err != nil {
				return err
			}
			suite[0] = s
		}
		suite, err := flags.apply(c.Flags(), suite, 1)
		if err != nil {
			return err
		}
		if len(suite[0].Nemesis) > 0 {
			suite[0] = suite[0].Drawn()
		}
		s, err := faultline.MakeSchedule(suite[0])
		if err != nil {
			return err
		}
		printFile(s.String())
		return nil
	})
	return c
}

func scheduleShow() *cobra.Command {
	var topology string
	c := &cobra.Command{
		Use:     "show SCHEDULE.yaml",
		Short:   "Draw a schedule over the nodes of a topology",
		Args:    cobra.ExactArgs(1),
		Example: "  faultline schedule show store/latest/resolved.yaml --topology store/latest/topology.yaml",

		ValidArgsFunction: first(yamlFiles),
	}
	c.Flags().StringVar(&topology, "topology", "dc1-3", "a name (faultline list topologies) or a file")
	c.RunE = command(func(c *cobra.Command, args []string) error {
		t, err := topologies.Load(topology)
		if err != nil {
			return &faultline.UsageError{Err: err}
		}
		data, err := strict.ReadFile(args[0])
		if err != nil {
			return &faultline.UsageError{Err: err}
		}
		s, err := nemesis.Parse(args[0], data)
		if err == nil {
			err = s.Check(t, faultline.AllCapabilities())
		}
		if err != nil {
			return &faultline.UsageError{Err: err}
		}
		printf("%s", nemesis.Gantt(s, t, width(os.Stdout)))
		return nil
	})
	return c
}
