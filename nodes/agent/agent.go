package agent

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"faultline/nodes"
	"faultline/nodes/agent/internal/gossip"
	"faultline/nodes/agent/internal/rpc"
)

// Build is the version that agents report to each other and to clients.
const Build = "1.0.0"

// Agent is one node. New makes it; Run runs it once.
type Agent struct {
	settings
	host nodes.Host
	log  *slog.Logger
	id   string // of the directory
	boot string // of this start

	gossip      *gossip.Pool
	wan         *gossip.Pool // of servers: the servers of all datacenters
	router      *router      // of servers
	calls       *rpc.Pool
	wanCalls    *rpc.Pool // to other datacenters
	port        *port     // of servers
	http        *http.Server
	httpOn      net.Listener
	server      atomic.Pointer[server] // nil on clients, and while a server starts
	serverIndex atomic.Uint64          // which server a client agent uses, modulo their number
	leaving     atomic.Bool

	up     chan struct{} // closed when the API answers
	quit   context.CancelFunc
	runCtx context.Context
	done   chan struct{}
}

// New checks the configuration. It opens nothing yet.
func New(host nodes.Host, c Config) (*Agent, error) {
	s, err := c.complete()
	if err != nil {
		return nil, err
	}
	a := &Agent{settings: s, host: host, log: host.Log(), up: make(chan struct{}), done: make(chan struct{})}
	a.boot = a.newUUID()
	a.calls = rpc.NewPool(func(ctx context.Context, addr string) (net.Conn, error) {
		return dial(ctx, host, addr, protocolRPC)
	}, rpc.LAN, host.Log())
	a.wanCalls = rpc.NewPool(func(ctx context.Context, addr string) (net.Conn, error) {
		return dial(ctx, host, addr, protocolWAN)
	}, rpc.WAN, host.Log())
	a.runCtx, a.quit = context.WithCancel(context.Background())
	h := fnv.New64a() // client agents start with different servers
	_, _ = h.Write([]byte(s.Name))
	a.serverIndex.Store(h.Sum64() % 1024)
	return a, nil
}

// Run runs the agent until ctx ends, Shutdown is called, or it has left its cluster;
// all three are no error. Everything is closed when it returns.
func (a *Agent) Run(ctx context.Context) (err error) {
	defer close(a.done)
	defer a.quit()
	stop := context.AfterFunc(ctx, a.quit)
	defer stop()

	lock, err := a.host.Disk().Lock()
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	identity := a.newUUID
	if a.defects[RejoinsWithEmptyLog] {
		identity = func() string { return nameDerivedID(a.Name) }
	}
	if a.id, err = nodeID(a.host.Disk(), identity); err != nil {
		return err
	}
	failed := make(chan error, 2)
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.open(failed); err != nil {
		return err
	}
	close(a.up)
	a.log.Info("agent: up", "node", a.Name, "id", a.id, "dc", a.DC, "server", a.Server, "http", a.settings.http())
	var broken <-chan error
	if a.Server {
		s, err := openServer(a.runCtx, a)
		if err != nil {
			if a.runCtx.Err() != nil {
				return nil // stopped during the silence
			}
			return err
		}
		a.server.Store(s)
		broken = s.log.Failed()
	}
	select {
	case <-a.runCtx.Done():
		return nil
	case err := <-failed:
		return err
	case err := <-broken: // it can neither vote nor follow any more
		return fmt.Errorf("the disk: %w", err)
	}
}

// open opens everything but Raft, in the order in which it is needed.
func (a *Agent) open(failed chan<- error) (err error) {
	if a.httpOn, err = a.host.Listen(a.settings.http().String()); err != nil {
		return err
	}
	if a.Server {
		a.port, err = openPort(a.runCtx, a.host, a.bind(a.ServerPort).String(), a.rpcAddr(), a.serveRPC)
		if err != nil {
			return err
		}
	}
	tags := gossip.Tags{Server: a.Server, DC: a.DC, ID: a.id, Expect: a.BootstrapExpect, Build: Build,
		HTTPAPI: a.settings.http().String()}
	if a.Server {
		tags.RPC = a.rpcAddr()
		tags.WAN = a.advertise(a.SerfWANPort).String()
	}
	a.gossip, err = gossip.Start(gossip.Config{Host: a.host, Name: a.Name, Bind: a.bind(a.SerfPort),
		Advertise: a.advertise(a.SerfPort), Tags: tags, Seeds: a.seeds, Profile: a.profile, Admit: a.admitLAN})
	if err != nil {
		return err
	}
	if a.Server {
		if err := a.openWAN(tags); err != nil {
			return err
		}
	}
	a.http = &http.Server{Handler: a.api(), ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return a.runCtx },
		ErrorLog:    slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	go func() {
		if err := a.http.Serve(a.httpOn); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return nil
}

// close closes what open and Run have opened. Calls under way are ended by a.life.
func (a *Agent) close() error {
	a.quit()
	var errs []error
	note := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", what, err))
		}
	}
	if a.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := a.http.Shutdown(ctx); err != nil {
			note("http", a.http.Close())
		}
	} else if a.httpOn != nil {
		note("http", a.httpOn.Close())
	}
	if a.gossip != nil {
		note("gossip", a.gossip.Shutdown())
	}
	if a.wan != nil {
		note("wan gossip", a.wan.Shutdown())
	}
	if s := a.server.Load(); s != nil {
		note("server", s.close())
	}
	a.calls.Close()
	a.wanCalls.Close()
	if a.port != nil {
		note("port", a.port.close())
	}
	a.log.Info("agent: down", "node", a.Name)
	return errors.Join(errs...)
}

// Shutdown makes Run return, without leaving the cluster, and waits for it.
func (a *Agent) Shutdown() {
	a.quit()
	<-a.done
}

// Up is closed when the API answers.
func (a *Agent) Up() <-chan struct{} { return a.up }

// leave leaves the cluster for good. The caller then calls quit.
func (a *Agent) leave(ctx context.Context) {
	pools := []*gossip.Pool{a.gossip}
	if a.wan != nil {
		pools = append(pools, a.wan)
	}
	for _, p := range pools {
		if err := p.Announce(2 * time.Second); err != nil {
			a.log.Warn("leave: not announced", "error", err)
		}
	}
	if s := a.server.Load(); s != nil {
		s.leaveRaft(ctx)
	}
	a.leaving.Store(true)
	for _, p := range pools {
		if err := p.Leave(2 * time.Second); err != nil {
			a.log.Warn("leave: gossip", "error", err)
		}
	}
	// Some members have received it; they need time to spread it while this agent still answers.
	if err := sleep(ctx, a.profile.LeavePropagateDelay); err != nil {
		a.log.Debug("leave: cut short", "error", err)
	}
}

func (a *Agent) rpcAddr() string { return a.advertise(a.ServerPort).String() }
