package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"
	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes"
	"faultline/nodes/faults"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
	"faultline/topologies"
)

const dataDir = "/data"

// Start brings a cluster up: holders in parallel, then, as all addresses are known,
// nodes in parallel.
func (r runtime) Start(ctx context.Context, spec nodes.Spec) (nodes.Cluster, error) {
	e, err := connect(ctx, r.limits)
	if err != nil {
		return nil, err
	}
	c, err := newCluster(e, spec)
	if err != nil {
		return nil, err
	}
	c.published = r.published
	if err := c.start(ctx, spec.System, spec.Baseline); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func newCluster(e *engine, spec nodes.Spec) (*cluster, error) {
	spec = pods.Heard(spec)
	me, err := pods.Self(os.DirFS("/proc"))
	if err != nil {
		return nil, err
	}
	c := &cluster{
		engine: e,
		log:    spec.Log,
		image: func(ctx context.Context) (string, error) {
			return e.ensureImage(ctx, spec.System, spec.Progress)
		},
		progress: spec.Progress,
		rights:   pods.RightsFor(spec.Needs),
		run:      spec.Run,
		id:       rand.Text(),
		lives:    pods.NewLives(),
		owner:    me.String(),
		secret:   injector.NewSecret(),
		byName:   map[string]*pod{},
	}
	c.watching, c.unwatch = context.WithCancel(context.Background())
	for _, n := range spec.Topology.Nodes() {
		p := &pod{node: n}
		c.pods = append(c.pods, p)
		c.byName[n.Name] = p
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context, system nodes.System, baseline faults.Conditions) error {
	image, err := c.image(ctx)
	if err != nil {
		return err
	}
	c.progress(fmt.Sprintf("starting %d pods", len(c.pods)))
	network, err := c.createNetwork(ctx)
	if err != nil {
		return err
	}
	port := system.Facts().Port
	err = pods.Each(c.pods, func(p *pod) error { return c.holderEnded(ctx, p, c.startHolder(ctx, p, image, network, port)) })
	if err != nil {
		return err
	}
	places := make([]nodes.NodeInfo, len(c.pods))
	for i, p := range c.pods {
		places[i] = nodes.NodeInfo{Node: p.node, Addr: p.addr, Dir: dataDir}
	}
	c.progress(fmt.Sprintf("starting %d nodes", len(c.pods)))
	c.group = c.makeGroup(pods.LauncherOf(system, places, c.Endpoint))
	err = pods.Each(places, func(self nodes.NodeInfo) error {
		p := c.byName[self.Name]
		var opening sync.WaitGroup // of the control stream, beside the creation of the node
		var opened error
		opening.Go(func() { opened = c.group.Open(ctx, p.node.Name) })
		err := c.createNode(ctx, p, image)
		opening.Wait()
		if err := errors.Join(err, opened); err != nil {
			return c.holderEnded(ctx, p, err)
		}
		return c.group.Begin(ctx, p.node.Name, baseline)
	})
	if err != nil {
		return err
	}
	if err := c.reach(ctx); err != nil {
		return err
	}
	go c.guard(c.watching)
	return c.group.Settle(ctx)
}

func (c *cluster) nameTaken(err error) error {
	return fmt.Errorf("is another run called %s too? If it is over, run `faultline clean`: %w", c.run, err)
}

// makeGroup is all pods; their holders run.
func (c *cluster) makeGroup(launch pods.Launcher) *pods.Group {
	var members []pods.Member
	for _, p := range c.pods {
		members = append(members, pods.Member{
			Node: p.node,
			Addr: p.addr,
			Open: func(ctx context.Context) (io.ReadWriteCloser, error) {
				return c.engine.execStream(ctx, p.holder, []string{injector.Path, "serve"})
			},
			Start: func(ctx context.Context, l nodes.Launch) error { return c.startExpected(ctx, p, l) },
			Died:  func(ctx context.Context) error { return c.died(ctx, p) },
		})
	}
	return pods.NewGroup(c.log, launch, members)
}

// startExpected starts the node once its pod knows that it is going to be: what enters else is
// turned away. The last process has ended by then, or it could enter in place of the new one.
func (c *cluster) startExpected(ctx context.Context, p *pod, launch nodes.Launch) error {
	if err := c.waitEnd(ctx, p); err != nil {
		return err
	}
	if err := c.group.Expect(ctx, p.node.Name, launch); err != nil {
		return err
	}
	return c.startNode(ctx, p)
}

// startNode starts the node's container, as soon as the engine has noticed that it does
// not run, and the end is recorded.
func (c *cluster) startNode(ctx context.Context, p *pod) error {
	if err := c.waitEnd(ctx, p); err != nil {
		return err
	}
	asked := time.Now()
	err := c.startContainer(ctx, p.container, "starting "+p.node.Name)
	if err == nil || c.startedAnyway(ctx, p) {
		c.follow(p, asked)
	}
	return err
}

// proxyPort is the port of a pod at which its proxy is.
var proxyPort = strconv.Itoa(injector.ProxyPort) + "/tcp"

// startHolder starts a pod's holder, and learns the pod's address and the way to its proxy.
func (c *cluster) startHolder(ctx context.Context, p *pod, image, network string, apiPort int) error {
	o := dc.CreateContainerOptions{
		Name: c.containerName(p) + "-pod",
		Config: &dc.Config{
			Image:    image,
			Hostname: p.node.Name,
			Cmd:      append([]string{injector.Path, "hold", dataDir, strconv.Itoa(apiPort)}, c.rights.Words()...),
			Env:      []string{injector.EnvSecret + "=" + c.secret.String()},
			Labels:   c.labels(map[string]string{labelPart: "holder", labelNode: p.node.Name}),
		},
		HostConfig: c.grant(limited(&dc.HostConfig{
			NetworkMode:    network,
			CapDrop:        []string{"ALL"},
			CapAdd:         []string{"NET_ADMIN", "NET_RAW"},
			SecurityOpt:    []string{"no-new-privileges"},
			ReadonlyRootfs: true,
			Tmpfs:          map[string]string{injector.ControlDir: "rw,nosuid,nodev,noexec,size=64k,mode=0700"},
			LogConfig:      jsonLogs,
			Mounts:         []dc.HostMount{c.data(p)},
		})),
	}
	if c.published {
		o.Config.ExposedPorts = map[dc.Port]struct{}{dc.Port(proxyPort): {}}
		o.HostConfig.PortBindings = map[dc.Port][]dc.PortBinding{dc.Port(proxyPort): {{HostIP: "127.0.0.1"}}}
	}
	id, err := c.createContainer(ctx, o)
	if err != nil {
		return err
	}
	p.holder = id
	if err := c.startContainer(ctx, id, "starting the pod of "+p.node.Name); err != nil {
		return err
	}
	seen, err := c.inspect(ctx, "looking at the pod of "+p.node.Name, id)
	if err != nil {
		return err
	}
	return p.locate(seen, network, c.published)
}

func (c *cluster) createNode(ctx context.Context, p *pod, image string) error {
	id, err := c.createContainer(ctx, dc.CreateContainerOptions{
		Name: c.containerName(p),
		Config: &dc.Config{
			Image:  image,
			Cmd:    []string{injector.Path, "enter"},
			Labels: c.labels(map[string]string{labelPart: "node", labelNode: p.node.Name}),
		},
		HostConfig: limited(&dc.HostConfig{
			NetworkMode: "container:" + p.holder,
			PidMode:     "container:" + p.holder,
			CapDrop:     []string{"ALL"},
			SecurityOpt: []string{"no-new-privileges"},
			LogConfig:   jsonLogs,
			Mounts:      []dc.HostMount{c.data(p)},
		}),
	})
	p.container = id
	return err
}

// data is the volume of a node's data, which its holder has too: a disk can be seen to, and
// emptied, while the node does not run.
func (c *cluster) data(p *pod) dc.HostMount {
	return dc.HostMount{
		Type:          "volume",
		Source:        c.containerName(p),
		Target:        dataDir,
		VolumeOptions: &dc.VolumeOptions{Labels: c.labels(map[string]string{labelNode: p.node.Name})},
	}
}

// jsonLogs is the log driver whose logs can be read back, whatever the engine's default.
var jsonLogs = dc.LogConfig{Type: "json-file"}

func (c *cluster) createContainer(ctx context.Context, o dc.CreateContainerOptions) (id string, err error) {
	try := func() (*dc.Container, error) {
		return create(ctx, c.engine, "making the container "+o.Name, func(ctx context.Context) (*dc.Container, error) {
			o.Context = ctx
			return c.engine.pool.Client.CreateContainer(o)
		})
	}
	made, err := try()
	if errors.Is(err, dc.ErrNoSuchImage) { // a Clean was here
		if _, err := c.image(ctx); err != nil {
			return "", err
		}
		made, err = try()
	}
	if errors.Is(err, dc.ErrContainerAlreadyExists) {
		err = c.nameTaken(err)
	}
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

// startContainer starts a container. One that runs already counts as started, so nobody may ask
// before the engine has noticed the last exit.
func (c *cluster) startContainer(ctx context.Context, id, what string) error {
	return do(ctx, c.engine, what, func(ctx context.Context) error {
		_, err := c.engine.client.ContainerStart(ctx, id, client.ContainerStartOptions{})
		return err
	})
}

func (c *cluster) containerName(p *pod) string { return "faultline-" + c.run + "-" + p.node.Name }

func (c *cluster) labels(more map[string]string) map[string]string {
	all := map[string]string{labelRun: c.run, labelCluster: c.id, labelOwner: c.owner, labelStarted: strconv.FormatInt(time.Now().Unix(), 10)}
	for k, v := range more {
		all[k] = v
	}
	return all
}

// pod is one node's place on the engine.
type pod struct {
	node      topologies.Node
	addr      netip.Addr
	proxy     string               // HOST:PORT of its proxy, from here
	holder    string               // container id
	container string               // of the node
	life      atomic.Pointer[life] // of the node's container; nil before the first
}
