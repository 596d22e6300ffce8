package compat

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait; a run that works waits a small part of it.
const patience = 30 * time.Second

// agent is one running process and a client of it.
type agent struct {
	name, addr string
	*api.Client
	process *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	exit    error         // how; after ended
}

// network is a /24 that other programs on the machine will hardly use.
const network = "127.83.19."

// startCluster starts servers s1, s2, s3 and the client agent c1.
func startCluster(t *testing.T) []*agent {
	return startDatacenter(t, buildAgent(t), "dc1", network)
}

// startDatacenter starts the same in a datacenter of its own, whose servers join others through these addresses.
func startDatacenter(t *testing.T, binary, dc, network string, joinWAN ...string) []*agent {
	var all []*agent
	for i, name := range []string{"s1", "s2", "s3", "c1"} {
		args := []string{"-node", name, "-datacenter", dc, "-raft-multiplier", "1", "-data-dir", t.TempDir()}
		addr := fmt.Sprint(network, i+1)
		args = append(args, "-bind", addr, "-advertise", addr, "-client", addr)
		for j := 1; j <= 3; j++ {
			if j != i+1 {
				args = append(args, "-retry-join", fmt.Sprint(network, j))
			}
		}
		if i < 3 {
			args = append(args, "-server", "-bootstrap-expect", "3")
			for _, addr := range joinWAN {
				args = append(args, "-retry-join-wan", addr)
			}
		}
		all = append(all, startAgent(t, name, addr, binary, args))
	}
	for _, a := range all {
		eventually(t, a.name+" knows the leader", func() error {
			leader, err := a.Status().Leader()
			if err == nil && leader == "" {
				return fmt.Errorf("no leader")
			}
			return err
		})
	}
	return all
}

func buildAgent(t *testing.T) string {
	if path := os.Getenv("FAULTLINE_AGENT"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/agent")
	build.Dir = filepath.Join("..", "..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	return path
}

func startAgent(t *testing.T, name, addr, binary string, args []string) *agent {
	logName := filepath.Join(t.TempDir(), name+".log")
	log, err := os.Create(logName)
	require.NoError(t, err)
	client, err := api.NewClient(&api.Config{Address: net.JoinHostPort(addr, "8500")})
	require.NoError(t, err)
	a := &agent{name: name, addr: addr, Client: client, process: exec.Command(binary, args...), ended: make(chan struct{})}
	a.process.Stdout, a.process.Stderr = log, log
	require.NoError(t, a.process.Start())
	go func() {
		a.exit = a.process.Wait()
		close(a.ended)
	}()
	t.Cleanup(func() {
		a.process.Process.Kill() // an error means that it has ended already
		<-a.ended
		log.Close()
		if said, err := os.ReadFile(logName); t.Failed() {
			t.Logf("%s said (%v):\n%s", name, err, said)
		}
	})
	return a
}

// eventually waits until check has no error.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if last = check(); last == nil {
			return
		}
	}
	require.NoError(t, last, "%s; waited %s", what, patience)
}
