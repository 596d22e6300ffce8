package docker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes/pods"
)

// Close removes the cluster's containers, volumes and network. If that fails it may be
// called again.
func (c *cluster) Close(ctx context.Context) error {
	c.closing.Lock()
	defer c.closing.Unlock()
	if c.closed {
		return nil
	}
	c.lives.Close()
	c.unwatch()
	var errs []error
	if c.group != nil {
		errs = append(errs, c.group.Close())
	}
	mine := func(labels map[string]string) bool { return labels[labelCluster] == c.id }
	_, err := c.engine.remove(ctx, labelCluster+"="+c.id, mine)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	c.closed = true
	return errors.Join(errs...)
}

// remove removes the containers, then the volumes and networks that have a label and are
// chosen by their labels. It tells what it removed, a line each.
func (e *engine) remove(ctx context.Context, label string, chosen func(labels map[string]string) bool) ([]string, error) {
	var r removal
	// Nodes first: a holder that goes takes the node's process along, and the engine may
	// then be at work on the node's exit when it is asked to remove it.
	nodes, holders, err := e.listContainers(ctx, label, chosen)
	if err != nil {
		return nil, err
	}
	for _, containers := range [][]dc.APIContainers{nodes, holders} {
		r.note(pods.Each(containers, func(found dc.APIContainers) error { return e.removeContainer(ctx, &r, found) }))
	}
	volumes, err := e.listVolumes(ctx, label, chosen)
	r.note(err)
	networks, err := e.listNetworks(ctx, chosen)
	r.note(err)
	var work sync.WaitGroup
	work.Go(func() {
		r.note(pods.Each(volumes, func(found dc.Volume) error { return e.removeVolume(ctx, &r, found) }))
	})
	work.Go(func() {
		r.note(pods.Each(networks, func(found dc.Network) error { return e.removeNetwork(ctx, &r, found) }))
	})
	work.Wait()
	slices.Sort(r.removed)
	return r.removed, errors.Join(r.errs...)
}

// removal is what was removed so far, and what went wrong.
type removal struct {
	mu      sync.Mutex
	removed []string
	errs    []error
}

func (r *removal) done(kind, name string, labels map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed = append(r.removed, fmt.Sprintf("%s %s (run %s)", kind, name, labels[labelRun]))
}

func (r *removal) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.errs = append(r.errs, err)
	}
}

func (e *engine) listContainers(ctx context.Context, label string, chosen func(map[string]string) bool) (nodes, holders []dc.APIContainers, err error) {
	all, err := call(ctx, e, e.limits.call, "listing containers", func(ctx context.Context) ([]dc.APIContainers, error) {
		return e.client.ListContainers(dc.ListContainersOptions{All: true, Filters: labelled(label), Context: ctx})
	})
	for _, found := range all {
		switch {
		case !chosen(found.Labels):
		case found.Labels[labelPart] == "node":
			nodes = append(nodes, found)
		default:
			holders = append(holders, found)
		}
	}
	return nodes, holders, err
}

func (e *engine) listVolumes(ctx context.Context, label string, chosen func(map[string]string) bool) ([]dc.Volume, error) {
	all, err := call(ctx, e, e.limits.call, "listing volumes", func(ctx context.Context) ([]dc.Volume, error) {
		return e.client.ListVolumes(dc.ListVolumesOptions{Filters: labelled(label), Context: ctx})
	})
	return slices.DeleteFunc(all, func(found dc.Volume) bool { return !chosen(found.Labels) }), err
}

func (e *engine) listNetworks(ctx context.Context, chosen func(map[string]string) bool) ([]dc.Network, error) {
	all, err := call(ctx, e, e.limits.call, "listing networks", func(context.Context) ([]dc.Network, error) {
		return e.client.ListNetworks()
	})
	return slices.DeleteFunc(all, func(found dc.Network) bool {
		return found.Labels[labelOwner] == "" || !chosen(found.Labels)
	}), err
}

func labelled(label string) map[string][]string { return map[string][]string{"label": {label}} }

// The following take it for success if somebody else was faster.

func (e *engine) removeContainer(ctx context.Context, r *removal, found dc.APIContainers) error {
	name := strings.TrimPrefix(slices.Concat(found.Names, []string{found.ID})[0], "/")
	err := do(ctx, e, "removing the container "+name, func(ctx context.Context) error {
		return e.client.RemoveContainer(dc.RemoveContainerOptions{ID: found.ID, RemoveVolumes: true, Force: true, Context: ctx})
	})
	if isAbsent(err) {
		return nil
	}
	if err == nil {
		r.done("container", name, found.Labels)
	}
	return err
}

func (e *engine) removeVolume(ctx context.Context, r *removal, found dc.Volume) error {
	err := do(ctx, e, "removing the volume "+found.Name, func(ctx context.Context) error {
		return e.client.RemoveVolumeWithOptions(dc.RemoveVolumeOptions{Name: found.Name, Force: true, Context: ctx})
	})
	if errors.Is(err, dc.ErrNoSuchVolume) {
		return nil
	}
	if err == nil {
		r.done("volume", found.Name, found.Labels)
	}
	return err
}

func (e *engine) removeNetwork(ctx context.Context, r *removal, found dc.Network) error {
	err := do(ctx, e, "removing the network "+found.Name, func(context.Context) error {
		return e.client.RemoveNetwork(found.ID)
	})
	var absent *dc.NoSuchNetwork
	if errors.As(err, &absent) {
		return nil
	}
	if err == nil {
		r.done("network", found.Name, found.Labels)
	}
	return err
}

// removeImages removes images of Faultline that no container uses.
func (e *engine) removeImages(ctx context.Context) (removed []string, err error) {
	containers, err := call(ctx, e, e.limits.call, "listing containers", func(ctx context.Context) ([]dc.APIContainers, error) {
		return e.client.ListContainers(dc.ListContainersOptions{All: true, Context: ctx})
	})
	if err != nil {
		return nil, err
	}
	images, err := call(ctx, e, e.limits.call, "listing images", func(ctx context.Context) ([]dc.APIImages, error) {
		return e.client.ListImages(dc.ListImagesOptions{Filters: labelled(labelImage + "=" + imageValue), Context: ctx})
	})
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, image := range images {
		name := imageName(image)
		used := func(c dc.APIContainers) bool { return c.Image == name || c.Image == image.ID }
		if slices.ContainsFunc(containers, used) {
			continue
		}
		err := do(ctx, e, "removing the image "+name, func(ctx context.Context) error {
			return e.client.RemoveImageExtended(name, dc.RemoveImageOptions{Context: ctx})
		})
		switch {
		case err == nil:
			removed = append(removed, "image "+name)
		case !errors.Is(err, dc.ErrNoSuchImage) && !isConflict(err): // somebody was faster, or uses it now
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// isConflict reports whether the engine refused because of what else there is.
func isConflict(err error) bool {
	var e *dc.Error
	return errors.As(err, &e) && e.Status == http.StatusConflict
}

// imageName is the image's tag, or its id if it has none. It loses its tag to another
// that is built at the same time from the same content.
func imageName(image dc.APIImages) string {
	const untagged = "<none>:<none>" // some engines list it as if it were a tag
	for _, tag := range image.RepoTags {
		if tag != untagged {
			return tag
		}
	}
	return image.ID
}
