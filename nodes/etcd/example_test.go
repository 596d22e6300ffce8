package etcd_test

import (
	"fmt"
	"time"

	"faultline/nodes/etcd"
)

func ExampleNew() {
	system, err := etcd.New(etcd.Options{Binary: "/usr/bin/etcd", Heartbeat: 100 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, mode := range system.Facts().Modes {
		fmt.Printf("%s: %s\n", mode.Name, mode.Doc)
	}
	_, err = etcd.New(etcd.Options{Heartbeat: 100 * time.Millisecond, Election: 200 * time.Millisecond})
	fmt.Println(err)
	// Output:
	// linearizable: by whoever is asked, after the leader has confirmed with a quorum how far the log was
	// serializable: by whoever is asked, as old as that is
	// election 200ms: want whole milliseconds, from 5 heartbeats of 100ms to 50s
}
