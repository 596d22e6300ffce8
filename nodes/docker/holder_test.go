package docker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes/faults"
	"faultline/nodes/pods/podstest"
)

// engineOfHolder is a cluster on an engine all of whose containers are in this state and have said this.
func engineOfHolder(t *testing.T, state, said string) *cluster {
	fakeEngine(t, func(l net.Listener) {
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/logs"): // a frame: the stream, the length, the text
				frame := binary.BigEndian.AppendUint32([]byte{2, 0, 0, 0}, uint32(len(said)))
				w.Write(append(frame, said...))
			case strings.HasSuffix(r.URL.Path, "/json"):
				fmt.Fprintf(w, `{"Id":"h","Config":{},"State":%s}`, state)
			default:
				w.Write([]byte(`{"OSType":"linux"}`))
			}
		}))
	})
	e, err := connect(t.Context(), defaultLimits)
	require.NoError(t, err)
	spec := podstest.Spec(t, "holder")
	spec.Needs = []faults.Capability{faults.DiskFull}
	c, err := newCluster(e, spec)
	require.NoError(t, err)
	return c
}

const (
	endedState = `{"Running":false,"ExitCode":1,"StartedAt":"2026-01-02T03:04:05Z"}`
	runs       = `{"Running":true,"StartedAt":"2026-01-02T03:04:05Z"}`
	notStarted = `{"Running":false,"StartedAt":"0001-01-01T00:00:00Z"}`
)

func TestAHolderThatEndedSaysWhy(t *testing.T) {
	c := engineOfHolder(t, endedState, "injector: disk: /data: fsopen: operation not permitted\n")
	p := c.byName[s1]
	p.holder = "h"
	noPort := errors.New("the engine published no port")
	got := c.holderEnded(t.Context(), p, noPort)
	require.ErrorIs(t, got, noPort)
	require.ErrorContains(t, got, "the pod of dc1-s1 ended with exit code 1: injector: disk: /data: fsopen: operation not permitted; disk faults take /dev/fuse")
	c.rights.Disk = false
	require.NotContains(t, c.holderEnded(t.Context(), p, noPort).Error(), "/dev/fuse", "nobody asked for disks")
	require.NoError(t, c.holderEnded(t.Context(), p, nil))
}

func TestAHolderThatHasNotEndedIsNotBlamed(t *testing.T) {
	noPort := errors.New("the engine published no port")
	for _, state := range []string{runs, notStarted} {
		c := engineOfHolder(t, state, "")
		p := c.byName[s1]
		require.Equal(t, noPort, c.holderEnded(t.Context(), p, noPort), "it was not made")
		p.holder = "h"
		require.Equal(t, noPort, c.holderEnded(t.Context(), p, noPort), state)
	}
}
