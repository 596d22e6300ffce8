// Package nodes holds the words that the rest of Faultline shares about a cluster under
// test: what a node may touch (Host), what is tested (System), where it runs (Runtime),
// and a running cluster (Cluster). What may be wrong with one is package nodes/faults.
//
// A runtime is a folder beside this file (docker, local); so is a system that others wrote (consul,
// etcd, and declared, for what a file describes); so is the reference agent (agent). They know this
// package and not each other.
package nodes

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"
)

// Host is all that a node touches outside itself. The reference agent is written
// against it alone, which is what lets the same agent run in a container, in a
// namespace, and in virtual time. Timers and sleeps come from package time, which
// virtual time replaces by itself.
type Host interface {
	// Listen opens a TCP listener; addr is IP:PORT.
	Listen(addr string) (net.Listener, error)
	// ListenPacket opens a UDP socket; addr is IP:PORT.
	ListenPacket(addr string) (net.PacketConn, error)
	// Dial connects by TCP. It gives up when ctx does.
	Dial(ctx context.Context, addr string) (net.Conn, error)
	// Now is the wall clock, which may jump.
	Now() time.Time
	// Monotonic never falls, and counts while the process is paused.
	Monotonic() time.Duration
	// Uint64 is a random number, evenly drawn. Many goroutines may ask.
	Uint64() uint64
	// Disk is the node's own directory.
	Disk() Disk
	// Log is where the node tells what it does.
	Log() *slog.Logger
}

// Usage is what the process of a node uses; 0 is not known.
type Usage struct {
	Goroutines  int
	Descriptors int    // open files and sockets
	Memory      uint64 // bytes of the heap that were alive at the last collection
}

// A UsageTeller is a Host that can tell what the process uses.
type UsageTeller interface{ Usage() Usage }

// Disk is a node's directory. Names are relative, with slashes. What was written to a
// file survives a kill of the process, but a loss of power only after File.Sync; a
// created, renamed or removed name survives a loss of power only after SyncDir of its
// directory.
type Disk interface {
	// Open opens a file with the flags of package os; directories are made by MkdirAll.
	Open(name string, flag int) (File, error)
	Rename(from, to string) error // replaces to
	Remove(name string) error     // a file or an empty directory
	MkdirAll(name string) error
	ReadDir(name string) ([]string, error) // sorted names
	SyncDir(name string) error             // "." is the root
	// Lock claims the directory until the process ends or the closer is closed. It
	// fails if somebody else holds it.
	Lock() (io.Closer, error)
}

// File is an open file of a Disk.
type File interface {
	io.Reader
	io.Writer
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Size() (int64, error)
}
