package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/pods/podstest"
	"faultline/topologies"
)

// harness, in the environment, makes this program start a cluster, break it, print its name, and
// wait for its end. The value is the node's binary.
const harness = "DOCKER_TEST_HARNESS"

func beHarness(program string) error {
	ctx := context.Background()
	topology, err := topologies.Load("dc1-3")
	if err != nil {
		return err
	}
	var broken faults.Conditions
	broken.Cut([]string{s1}, []string{s2, s3}, faults.Link{Drop: true})
	broken.SetProcess([]string{s2}, faults.Paused)
	run := podstest.RunName("abandoned")
	started, err := New().Start(ctx, nodes.Spec{Run: run, Topology: topology, System: podstest.System{Program: program}})
	if err != nil {
		return err
	}
	if err := started.Set(ctx, broken); err != nil {
		return errors.Join(err, started.Close(ctx))
	}
	fmt.Println(run)
	select {}
}

func TestPodsDoNotOutliveTheirHarness(t *testing.T) {
	t.Parallel()
	podstest.Alone(t) // or a Clean of others might end what is to end by itself
	alive := up(t, "lives-on")
	image, err := podstest.System{}.Image(t.Context())
	require.NoError(t, err)
	dying := exec.Command("/proc/self/exe")
	dying.Env = append(os.Environ(), harness+"="+image.Program)
	dying.Stderr = os.Stderr
	out, err := dying.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, dying.Start())
	t.Cleanup(func() { dying.Process.Kill() }) // if the test failed before
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	run := strings.TrimSpace(line)
	t.Cleanup(func() {
		_, err := alive.engine.remove(context.Background(), labelRun+"="+run, func(labels map[string]string) bool { return labels[labelRun] == run })
		require.NoError(t, err)
	})
	require.Len(t, runningOf(t, alive.engine, run), 2*3, "holders and nodes")
	time.Sleep(12 * time.Second)
	require.Len(t, runningOf(t, alive.engine, run), 2*3, "as long as it lives")

	require.NoError(t, dying.Process.Kill())
	require.Error(t, dying.Wait())
	require.Eventually(t, func() bool { return len(runningOf(t, alive.engine, run)) == 0 }, time.Minute, 200*time.Millisecond)
	podstest.RequireConditions(t, alive, faults.Conditions{})
}

func runningOf(t *testing.T, e *engine, run string) []container.Summary {
	running, err := e.client.ContainerList(t.Context(), client.ContainerListOptions{Filters: labelled(labelRun + "=" + run)})
	require.NoError(t, err)
	return running.Items
}
