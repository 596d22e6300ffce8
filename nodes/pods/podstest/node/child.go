package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A child executes a copy of this program, by another name.
const (
	childWord  = "child"
	childFile  = "/child-program"
	childGaps  = "/child-gap"
	childSleep = 2 * time.Millisecond
)

// beChild writes down the longest time that it has not run for.
func beChild() {
	for longest, last := time.Duration(0), time.Now(); ; {
		time.Sleep(childSleep)
		now := time.Now()
		gap := now.Sub(last) // with what the last round took
		last = now
		if gap <= longest {
			continue
		}
		longest = gap
		if err := os.WriteFile(childGaps+".new", []byte(longest.String()), 0o644); err != nil {
			panic(err)
		}
		if err := os.Rename(childGaps+".new", childGaps); err != nil {
			panic(err)
		}
	}
}

func startChild() {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(childFile, self, 0o755); err != nil {
		panic(err)
	}
	cmd := exec.Command(childFile, childWord)
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	go cmd.Wait() // it ends with the node
}

// family is the pids of children, and the longest gap.
func family() map[string]string {
	var pids []string
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		if to, err := os.Readlink(dir + "/exe"); err == nil && strings.HasPrefix(to, childFile) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	gap, _ := os.ReadFile(childGaps)
	return map[string]string{"pids": strings.Join(pids, " "), "gap": string(gap)}
}

func run(program, arg string) string {
	said, err := exec.Command(program, arg).CombinedOutput()
	return fmt.Sprintf("%s(%v)", said, err)
}

func launchFile() string {
	text, err := os.ReadFile("/etc/fake/start.conf")
	return fmt.Sprintf("%s(%v)", text, err)
}
