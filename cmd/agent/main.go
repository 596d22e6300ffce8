// Command agent is one node of the reference system: a small Consul. See package
// faultline/nodes/agent for what it does, and -help for its flags, which are Consul's.
//
//	agent -server -bootstrap-expect 3 -node dc1-s1 -bind 10.0.0.1 -retry-join 10.0.0.2 -data-dir /data
//	agent version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"faultline/nodes/agent"
	"faultline/nodes/agent/flags"
	"faultline/nodes/agent/oshost"
	"faultline/nodes/programs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if slices.Equal(os.Args[1:], []string{"version"}) {
		fmt.Println(programs.Line("agent"))
		return
	}
	if err := run(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := flags.Parse(args, out)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: o.Level}))
	host, err := oshost.New(o.Dir, log)
	if err != nil {
		return err
	}
	a, err := agent.New(host, o.Config)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
