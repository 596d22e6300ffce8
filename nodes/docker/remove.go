package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

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
	for _, containers := range [][]container.Summary{nodes, holders} {
		r.note(pods.Each(containers, func(found container.Summary) error { return e.removeContainer(ctx, &r, found) }))
	}
	volumes, err := e.listVolumes(ctx, label, chosen)
	r.note(err)
	networks, err := e.listNetworks(ctx, label, chosen)
	r.note(err)
	var work sync.WaitGroup
	work.Go(func() {
		r.note(pods.Each(volumes, func(found volume.Volume) error { return e.removeVolume(ctx, &r, found) }))
	})
	work.Go(func() {
		r.note(pods.Each(networks, func(found network.Summary) error { return e.removeNetwork(ctx, &r, found) }))
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

func (e *engine) listContainers(ctx context.Context, label string, chosen func(map[string]string) bool) (nodes, holders []container.Summary, err error) {
	all, err := call(ctx, e, e.limits.call, "listing containers", func(ctx context.Context) (client.ContainerListResult, error) {
		return e.client.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: labelled(label)})
	})
	for _, found := range all.Items {
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

func (e *engine) listVolumes(ctx context.Context, label string, chosen func(map[string]string) bool) ([]volume.Volume, error) {
	all, err := call(ctx, e, e.limits.call, "listing volumes", func(ctx context.Context) (client.VolumeListResult, error) {
		return e.client.VolumeList(ctx, client.VolumeListOptions{Filters: labelled(label)})
	})
	return slices.DeleteFunc(all.Items, func(found volume.Volume) bool { return !chosen(found.Labels) }), err
}

func (e *engine) listNetworks(ctx context.Context, label string, chosen func(map[string]string) bool) ([]network.Summary, error) {
	all, err := call(ctx, e, e.limits.call, "listing networks", func(ctx context.Context) (client.NetworkListResult, error) {
		return e.client.NetworkList(ctx, client.NetworkListOptions{Filters: labelled(label)})
	})
	return slices.DeleteFunc(all.Items, func(found network.Summary) bool { return !chosen(found.Labels) }), err
}

func (e *engine) listImages(ctx context.Context) ([]image.Summary, error) {
	all, err := call(ctx, e, e.limits.call, "listing images", func(ctx context.Context) (client.ImageListResult, error) {
		return e.client.ImageList(ctx, client.ImageListOptions{Filters: labelled(labelImage + "=" + imageValue)})
	})
	return all.Items, err
}

func labelled(label string) client.Filters { return client.Filters{}.Add("label", label) }

// The following take it for success if somebody else was faster.

func (e *engine) removeContainer(ctx context.Context, r *removal, found container.Summary) error {
	name := strings.TrimPrefix(slices.Concat(found.Names, []string{found.ID})[0], "/")
	err := do(ctx, e, "removing the container "+name, func(ctx context.Context) error {
		_, err := e.client.ContainerRemove(ctx, found.ID, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
		return err
	})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err == nil {
		r.done("container", name, found.Labels)
	}
	return err
}

func (e *engine) removeVolume(ctx context.Context, r *removal, found volume.Volume) error {
	err := do(ctx, e, "removing the volume "+found.Name, func(ctx context.Context) error {
		_, err := e.client.VolumeRemove(ctx, found.Name, client.VolumeRemoveOptions{Force: true})
		return err
	})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err == nil {
		r.done("volume", found.Name, found.Labels)
	}
	return err
}

func (e *engine) removeNetwork(ctx context.Context, r *removal, found network.Summary) error {
	err := do(ctx, e, "removing the network "+found.Name, func(ctx context.Context) error {
		_, err := e.client.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{})
		return err
	})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err == nil {
		r.done("network", found.Name, found.Labels)
	}
	return err
}

// removeImages removes images of Faultline that no container uses.
func (e *engine) removeImages(ctx context.Context) (removed []string, err error) {
	containers, err := call(ctx, e, e.limits.call, "listing containers", func(ctx context.Context) (client.ContainerListResult, error) {
		return e.client.ContainerList(ctx, client.ContainerListOptions{All: true})
	})
	if err != nil {
		return nil, err
	}
	images, err := e.listImages(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, found := range images {
		name := imageName(found)
		used := func(c container.Summary) bool { return c.Image == name || c.Image == found.ID }
		if slices.ContainsFunc(containers.Items, used) {
			continue
		}
		err := do(ctx, e, "removing the image "+name, func(ctx context.Context) error {
			_, err := e.client.ImageRemove(ctx, name, client.ImageRemoveOptions{PruneChildren: true})
			return err
		})
		switch {
		case err == nil:
			removed = append(removed, "image "+name)
		case !errdefs.IsNotFound(err) && !errdefs.IsConflict(err): // somebody was faster, or uses it now
			errs = append(errs, err)
		}
	}
	return removed, errors.Join(errs...)
}

// imageName is the image's tag, or its id if it has none. It loses its tag to another
// that is built at the same time from the same content.
func imageName(found image.Summary) string {
	const untagged = "<none>:<none>" // some engines list it as if it were a tag
	for _, tag := range found.RepoTags {
		if tag != untagged {
			return tag
		}
	}
	return found.ID
}
