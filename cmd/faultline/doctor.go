package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"faultline"
)

func doctorCommand() *cobra.Command {
	var store string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine offers and lacks, and the way out of what it lacks",
		Args:  cobra.NoArgs,
	}
	c.Flags().StringVar(&store, "store", "store", "where run directories would be kept")
	c.RunE = command(func(c *cobra.Command, _ []string) error {
		lacking := 0
		for _, f := range faultline.Doctor(c.Context(), store) {
			mark := "ok  "
			if f.Err != nil {
				mark = "LACK"
				lacking++
			}
			fmt.Printf("%s  %-22s %s\n", mark, f.What, f.Text())
		}
		if lacking > 0 {
			return &faultline.UsageError{Err: fmt.Errorf("%d things are lacking; the lines above say the way out", lacking)}
		}
		return nil
	})
	return c
}
