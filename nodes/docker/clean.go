package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"

	"faultline/nodes"
	"faultline/nodes/pods"
)

// Clean removes what runs that are over have left on the engine. Where there is none, nothing
// can be left on it; one that does not answer may have something.
func (r runtime) Clean(ctx context.Context) (nodes.Cleaned, error) {
	e, err := connect(ctx, r.limits)
	if err != nil {
		return nodes.Cleaned{}, unlooked(err)
	}
	owners, err := pods.Owners(os.DirFS("/proc"))
	if err != nil {
		return nodes.Cleaned{}, err
	}
	return e.clean(ctx, owners)
}

// clean removes all clusters that are abandoned, and the images that nobody uses then.
func (e *engine) clean(ctx context.Context, owners func(string) pods.OwnerState) (cleaned nodes.Cleaned, err error) {
	found, err := e.findClusters(ctx)
	if err != nil {
		return cleaned, err
	}
	over := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		abandoned, why := found[id].abandoned(owners, time.Now())
		over[id] = abandoned
		if why != "" {
			cleaned.Left = append(cleaned.Left, why)
		}
	}
	// What has been made since is in no list, and is left alone.
	removed, err := e.remove(ctx, labelOwner, func(labels map[string]string) bool { return over[labels[labelCluster]] })
	images, imagesErr := e.removeImages(ctx)
	cleaned.Removed = append(removed, images...)
	return cleaned, errors.Join(err, imagesErr)
}

// traces is what there is of one cluster on the engine.
type traces struct {
	run, owner string
	made       time.Time // the youngest of it; zero in the form of old, which did not tell that
	runs       bool      // one of its holders does, or is paused, or being restarted
}

func (e *engine) findClusters(ctx context.Context) (map[string]*traces, error) {
	all := map[string]*traces{}
	note := func(labels map[string]string) *traces {
		t := all[labels[labelCluster]]
		if t == nil {
			t = &traces{run: labels[labelRun], owner: labels[labelOwner]}
			all[labels[labelCluster]] = t
		}
		if at, err := strconv.ParseInt(labels[labelStarted], 10, 64); err == nil && time.Unix(at, 0).After(t.made) {
			t.made = time.Unix(at, 0)
		}
		return t
	}
	any := func(map[string]string) bool { return true }
	containers, holders, err := e.listContainers(ctx, labelOwner, any)
	volumes, volumesErr := e.listVolumes(ctx, labelOwner, any)
	networks, networksErr := e.listNetworks(ctx, labelOwner, any)
	for _, c := range containers {
		note(c.Labels)
	}
	for _, h := range holders {
		t := note(h.Labels)
		t.runs = t.runs || !slices.Contains([]container.ContainerState{container.StateCreated, container.StateExited, container.StateDead}, h.State)
	}
	for _, v := range volumes {
		note(v.Labels)
	}
	for _, n := range networks {
		note(n.Labels)
	}
	return all, errors.Join(err, volumesErr, networksErr)
}

// startingWithin is how long a run may take from one thing that it makes on the engine to the
// next, or to a holder that runs.
const startingWithin = 3 * time.Minute

// abandoned reports whether a cluster has lost its harness. Where the owner cannot be seen from
// here, in another pid namespace, the cluster's pods tell: a holder ends some seconds after
// its harness has (package injector).
func (t traces) abandoned(owners func(string) pods.OwnerState, now time.Time) (abandoned bool, left string) {
	switch owners(t.owner) {
	case pods.Alive:
		return false, ""
	case pods.Gone:
		return true, ""
	}
	switch {
	case t.runs:
		return false, fmt.Sprintf("run %s: its owner cannot be seen from here (another pid namespace?), and its pods run; they end by themselves soon after it", t.run)
	case now.Sub(t.made).Abs() < startingWithin:
		return false, fmt.Sprintf("run %s: its owner cannot be seen from here (another pid namespace?), and may be just starting it", t.run)
	}
	return true, ""
}
