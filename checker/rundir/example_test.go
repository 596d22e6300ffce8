package rundir_test

import (
	"fmt"
	"os"
	"path/filepath"

	"faultline/checker/rundir"
)

// A run directory is made, filled, announced, and found again by its store.
func Example() {
	store, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(store)
	dir, _, err := rundir.Create(store, "partitions")
	if err != nil {
		panic(err)
	}
	if err := rundir.Write(dir, rundir.ScenarioFile, "name: partitions\n"); err != nil {
		panic(err)
	}
	if err := rundir.Announce(dir); err != nil {
		panic(err)
	}
	found, err := rundir.Locate(store)
	if err != nil {
		panic(err)
	}
	text, err := rundir.Read(found, rundir.ScenarioFile)
	fmt.Print(string(text))
	fmt.Println(filepath.Base(found) == filepath.Base(dir), err)
	// Output:
	// name: partitions
	// true <nil>
}

// A name of a file shows as much of a key as it can, and differs for different keys.
func ExampleFileSafe() {
	fmt.Println(rundir.FileSafe("lock-1"))
	fmt.Println(rundir.FileSafe("a/b"))
	// Output:
	// lock-1
	// a_b.c14cddc033f64b9d
}
