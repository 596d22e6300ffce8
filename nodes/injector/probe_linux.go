package injector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"faultline/nodes/faults"
)

const (
	datagramsPerProbe = 3                    // one lost by chance proves nothing
	datagramSpacing   = 5 * time.Millisecond // so that one full buffer does not lose all
	markerPatience    = 100 * time.Millisecond
	markerTries       = 10
	noncesKept        = 64
	acceptPause       = time.Millisecond // so that an error that stays does not burn a core
)

// prober answers the probes of other pods and makes those of this pod.
type prober struct {
	port uint16
	udp  *net.UDPConn
	tcp  *net.TCPListener

	mu         sync.Mutex
	heard      map[uint64][]netip.Addr // by nonce, unsorted, no duplicates
	nonces     []uint64                // keys of heard, oldest first
	markers    map[uint64]chan struct{}
	lastMarker uint64

	trains trains
	echoes echoes
}

// newProber listens on addr, UDP and TCP.
func newProber(addr netip.AddrPort) (*prober, error) {
	p := &prober{heard: map[uint64][]netip.Addr{}, markers: map[uint64]chan struct{}{}}
	if err := p.listen(addr); err != nil {
		return nil, err
	}
	p.echoes.port = p.port
	go p.receive()
	go p.accept()
	return p, nil
}

func (p *prober) listen(addr netip.AddrPort) (err error) {
	p.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return fmt.Errorf("probe port: %w", err)
	}
	if err := enlarge(p.udp); err != nil {
		return errors.Join(fmt.Errorf("probe port: %w", err), p.udp.Close())
	}
	p.port = p.udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	p.tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), p.port)))
	if err != nil {
		return errors.Join(fmt.Errorf("probe port: %w", err), p.udp.Close())
	}
	return nil
}

func (p *prober) close() error {
	p.echoes.close()
	return errors.Join(p.udp.Close(), p.tcp.Close())
}

// receive notes who was heard with which nonce.
func (p *prober) receive() {
	buffer := make([]byte, maxTrainBytes+1)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause) // the error of one datagram, or of the machine
			continue
		}
		if c, whole, err := parseProbePacket(buffer[:n]); err == nil {
			if read, err := monotonic(); err == nil {
				p.trains.note(c, whole, from.Addr().Unmap(), n, read)
			}
			continue
		}
		d, err := parseDatagram(buffer[:n])
		if err != nil {
			continue // not ours
		}
		p.note(d, from.Addr().Unmap())
	}
}

func (p *prober) note(d datagram, from netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.kind == markerKind {
		if seen := p.markers[d.nonce]; seen != nil && from.IsLoopback() {
			close(seen)
			delete(p.markers, d.nonce)
		}
		return
	}
	if _, known := p.heard[d.nonce]; !known {
		p.nonces = append(p.nonces, d.nonce)
	}
	if !slices.Contains(p.heard[d.nonce], from) {
		p.heard[d.nonce] = append(p.heard[d.nonce], from)
	}
	if len(p.nonces) > noncesKept {
		delete(p.heard, p.nonces[0])
		p.nonces = p.nonces[1:]
	}
}

// accept lets connections open, answers what echoes ask, and closes them.
func (p *prober) accept() {
	for {
		conn, err := p.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause) // the peer gave up first, or there are no file descriptors
			continue
		}
		go answer(conn)
	}
}

// listHeard tells from whom datagrams with the nonce have arrived so far. A socket's
// queue is first in, first out: once a marker that we send to ourselves has come
// through, everything that had arrived before has been read.
func (p *prober) listHeard(nonce uint64) ([]netip.Addr, error) {
	for range markerTries {
		read, err := p.queueRead()
		if err != nil {
			return nil, err
		}
		if read {
			p.mu.Lock()
			defer p.mu.Unlock()
			return slices.SortedFunc(slices.Values(p.heard[nonce]), netip.Addr.Compare), nil
		}
	}
	return nil, errors.New("the probe port does not hear itself")
}

// queueRead sends a marker and reports whether it came through in time; in a full buffer
// it is lost.
func (p *prober) queueRead() (bool, error) {
	p.mu.Lock()
	p.lastMarker++
	marker, seen := p.lastMarker, make(chan struct{})
	p.markers[marker] = seen
	p.mu.Unlock()
	self := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.port)
	if _, err := p.udp.WriteToUDPAddrPort(datagram{markerKind, marker}.encode(), self); err != nil {
		return false, fmt.Errorf("marker: %w", err)
	}
	select {
	case <-seen:
		return true, nil
	case <-time.After(markerPatience):
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.markers, marker)
		return false, nil
	}
}

// probe sends the datagrams, and meanwhile tries to connect to every peer.
func (p *prober) probe(r Probe) (Attempts, error) {
	results := make([]faults.TCPResult, len(r.Peers))
	timeout := time.Duration(r.TimeoutMS) * time.Millisecond
	var work errgroup.Group
	for i, peer := range r.Peers {
		work.Go(func() (err error) {
			results[i], err = connect(netip.AddrPortFrom(peer, p.port), timeout)
			return err
		})
	}
	for peer, train := range r.Trains {
		work.Go(func() error { return p.sendTrain(r.Nonce, peer, train) })
	}
	work.Go(func() error { return p.sendDatagrams(r) })
	ports := closedProbes(r.Ports)
	for i := range ports {
		work.Go(func() (err error) {
			ports[i].seen.TCP, err = connect(ports[i].to, timeout)
			return err
		})
	}
	err := work.Wait()
	seen := Attempts{TCP: map[netip.Addr]faults.TCPResult{}, Ports: map[netip.Addr]map[uint16]faults.PortMeasurement{}}
	for i, peer := range r.Peers {
		seen.TCP[peer] = results[i]
	}
	for _, port := range ports {
		peer := port.to.Addr()
		if seen.Ports[peer] == nil {
			seen.Ports[peer] = map[uint16]faults.PortMeasurement{}
		}
		seen.Ports[peer][port.to.Port()] = port.seen
	}
	return seen, err
}

// closedProbe is an attempt at a port that should be closed.
type closedProbe struct {
	to   netip.AddrPort
	seen faults.PortMeasurement
}

func closedProbes(ports map[netip.Addr]faults.Ports) (all []closedProbe) {
	for peer, numbers := range ports {
		for _, port := range numbers.List() {
			all = append(all, closedProbe{to: netip.AddrPortFrom(peer, port)})
		}
	}
	return all
}

func (p *prober) sendDatagrams(r Probe) error {
	payload := datagram{probeKind, r.Nonce}.encode()
	var to []netip.AddrPort
	for _, peer := range r.Peers {
		to = append(to, netip.AddrPortFrom(peer, p.port))
	}
	for _, port := range closedProbes(r.Ports) {
		to = append(to, port.to)
	}
	for i := range datagramsPerProbe {
		if i > 0 {
			time.Sleep(datagramSpacing)
		}
		for _, at := range to {
			_, err := p.udp.WriteToUDPAddrPort(payload, at)
			if err != nil && !errors.Is(err, syscall.ECONNREFUSED) { // an ICMP that answers an earlier one
				return fmt.Errorf("datagram to %s: %w", at, err)
			}
		}
	}
	return nil
}

// sendTrain sends a train, in groups that keep its pace on average, and waits for what is
// on its way.
func (p *prober) sendTrain(nonce uint64, peer netip.Addr, t faults.Train) error {
	began := time.Now()
	for number := range t.Count {
		if due := began.Add((time.Duration(number) * t.Pace).Truncate(trainTick)); time.Until(due) > 0 {
			time.Sleep(time.Until(due))
		}
		now, err := monotonic()
		if err != nil {
			return err
		}
		datagram := probePacket{nonce: nonce, number: uint32(number), sent: now}.encode(t.Bytes)
		_, err = p.udp.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(peer, p.port))
		if err != nil && !errors.Is(err, syscall.ECONNREFUSED) { // an ICMP that answers an earlier one
			return fmt.Errorf("train to %s: %w", peer, err)
		}
	}
	time.Sleep(t.Wait)
	return nil
}

func connect(to netip.AddrPort, timeout time.Duration) (faults.TCPResult, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp4", to.String())
	if err == nil {
		err = errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()) // a reset: no TIME_WAIT for each probe
		return faults.TCPOpen, err
	}
	return classify(err)
}

// classify tells how an attempt to connect failed.
func classify(err error) (faults.TCPResult, error) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return faults.TCPRefused, nil
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return faults.TCPTimeout, nil
	}
	return "", fmt.Errorf("connect: %w", err)
}
