//go:build !linux

package clock

import (
	"context"
	"errors"
	"os/exec"
	"time"
)

// Process is a process whose clocks could be set on Linux.
type Process struct{}

// Caught is a process that could be caught on Linux.
type Caught struct{}

var errNotLinux = errors.New("the clocks of other processes can be set on Linux only")

func Now() (time.Duration, error)                               { return 0, errNotLinux }
func Open(int) (*Process, error)                                { return nil, errNotLinux }
func Start(*exec.Cmd, Setting) (*Process, error)                { return nil, errNotLinux }
func Catch(int) (*Caught, error)                                { return nil, errNotLinux }
func (*Caught) Release()                                        {}
func (*Caught) Exec(context.Context, Setting) (*Process, error) { return nil, errNotLinux }
func (*Process) Close() error                                   { return nil }
func (*Process) Set(Setting) error                              { return errNotLinux }
func (*Process) Restore() error                                 { return errNotLinux }
func (*Process) Read() (Reading, error)                         { return Reading{}, errNotLinux }
func (*Process) Watch(time.Duration, int) ([]Look, error)       { return nil, errNotLinux }
func (*Process) Differs() (file, behind int, err error)         { return 0, 0, errNotLinux }
