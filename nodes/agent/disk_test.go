package agent

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
)

// fullDisk has no space left while full says so.
type fullDisk struct {
	nodes.Disk
	full *atomic.Bool
}

type fullFile struct {
	nodes.File
	full *atomic.Bool
}

func (d fullDisk) Open(name string, flag int) (nodes.File, error) {
	f, err := d.Disk.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return fullFile{f, d.full}, nil
}

func (f fullFile) WriteAt(p []byte, at int64) (int, error) {
	if f.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}

func (f fullFile) Write(p []byte) (int, error) {
	if f.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// A server whose disk has failed can neither vote nor follow. It ends, and says why.
func TestAServerEndsWithItsDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3, 0)
		leader, follower := c.leader(t), c.followers(t)[0]
		follower.host.full.Store(true)
		leader.put(t, "k", "v")
		eventually(t, "it ends", func() error {
			if !closed(follower.ended) {
				return errors.New("it runs")
			}
			return nil
		})
		require.ErrorIs(t, follower.err, syscall.ENOSPC)
		require.ErrorContains(t, follower.err, "the disk: the log in raft takes no changes")

		follower.host.full.Store(false)
		again := c.restart(follower)
		again.awaitValue(t, "k", "v")
	})
}
