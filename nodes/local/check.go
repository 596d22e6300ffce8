//go:build linux

package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/topologies"
)

const tryLimit = 10 * time.Second

// try makes a pod without a node, makes every kind of rule in it, and removes it.
func try(ctx context.Context, rights injector.Rights) error {
	c, err := newCluster(ctx, "check-"+strings.ToLower(rand.Text()), slog.New(slog.DiscardHandler), []topologies.Node{{Name: "check"}}, nil)
	if err != nil {
		return err
	}
	c.rights = rights
	err = c.open(ctx, nil) // nothing is launched
	if err == nil {
		err = c.tryRules(ctx)
	}
	return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}

func (c *cluster) tryRules(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, tryLimit, fmt.Errorf("no answer within %v", tryLimit))
	defer cancel()
	stream, err := c.host.pods[0].takeControl()
	if err != nil {
		return err
	}
	links := map[netip.Addr]faults.Link{gateway.Addr(): {Drop: true}, gateway.Addr().Next(): {Reject: true}}
	client := injector.NewClient(stream)
	_, err = client.Do(ctx, injector.Request{Apply: &injector.State{Links: links, Process: faults.Killed}})
	if err != nil {
		err = fmt.Errorf("link faults %s: %w; the kernel must have CONFIG_NF_TABLES, "+
			"CONFIG_NF_TABLES_IPV4 and CONFIG_NFT_REJECT_IPV4, and, as modules, root must have loaded them "+
			"(`modprobe -a nf_tables nft_reject_ipv4`)", injector.NotHere, err)
	}
	return errors.Join(err, client.Close())
}

// setting is one of the machine's that can forbid namespaces to users.
type setting struct {
	file  string // below /proc/sys
	bad   string // its value that forbids
	fixed string // one that does not
}

var settings = []setting{
	{"kernel/unprivileged_userns_clone", "0", "1"}, // Debian's and Arch's kernels
	{"user/max_user_namespaces", "0", "15000"},
	{"kernel/apparmor_restrict_unprivileged_userns", "1", "0"}, // Ubuntu since 23.10
}

// explain says why namespaces could not be made, and the way out.
func explain(err error) error { return explainBy(os.DirFS("/proc/sys"), err) }

func explainBy(sys fs.FS, err error) error {
	if errors.Is(err, syscall.EACCES) {
		return fmt.Errorf("%w; is %s mounted noexec? Then set TMPDIR to a directory that is not", err, os.TempDir())
	}
	var forbids []string
	for _, s := range settings {
		value, readErr := fs.ReadFile(sys, s.file)
		if readErr != nil || strings.TrimSpace(string(value)) != s.bad {
			continue // a kernel without it does not forbid by it
		}
		name := strings.ReplaceAll(s.file, "/", ".")
		forbids = append(forbids, fmt.Sprintf("%s is %s: as root, `sysctl -w %s=%s`", name, s.bad, name, s.fixed))
	}
	if len(forbids) > 0 {
		return fmt.Errorf("this machine forbids user namespaces without root; %s, or run as root (%w)", strings.Join(forbids, ", and "), err)
	}
	return fmt.Errorf("namespaces cannot be made here (in a container, its engine may forbid them; "+
		"the kernel must have CONFIG_USER_NS, or run as root): %w", err)
}

// explainAll explains what the pods complained about, which each of them tells the same of,
// and some themselves.
func explainAll(err error) error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		err = joined.Unwrap()[0]
	}
	if strings.Contains(err.Error(), injector.NotHere) {
		return err
	}
	if strings.Contains(err.Error(), syscall.EPERM.Error()) || strings.Contains(err.Error(), syscall.EACCES.Error()) {
		return explain(err)
	}
	return err
}
