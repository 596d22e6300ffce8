// Command node is a node for tests of runtimes: it serves HTTP on :8500.
//
//	GET /          what the node is: its arguments, how often it was started, and where it is
//	GET /ping      an empty answer
//	GET /attack    all that the node tries against its pod's injector, and how each attempt ended
//	GET /leave     the process ends, with exit code 0
//	GET /panic     it panics: exit code 2
//	GET /kill9     it sends SIGKILL to itself
//	GET /doom      it will panic at its next start, once, before it does anything
//	GET /child     it starts a process that executes another file and counts time
//	GET /family    what became of such processes
//	GET /run?program=P&arg=A
//	               it runs a program with an argument, and answers with what that says
//	GET /hog       it takes memory until the kernel ends it; only below a limit
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const apiPort = 8500

// began is read before anything else is done.
var began = time.Now()

func main() {
	if len(os.Args) == 2 && os.Args[1] == childWord {
		beChild()
	}
	if os.Remove(doom()) == nil {
		panic("doomed")
	}
	file := filepath.Join(os.Args[1], "starts")
	before, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	starts := string(before) + "x"
	if err := os.WriteFile(file, []byte(starts), 0o644); err != nil {
		panic(err)
	}
	kept := keep(filepath.Join(os.Args[1], "kept"))
	fmt.Println("out: start", len(starts))
	fmt.Fprintln(os.Stderr, "err: start", len(starts))
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"args": strings.Join(os.Args[1:], " "), "starts": len(starts), "place": place(), "addrs": addresses(),
			"kept": kept, "began": began, "now": time.Now(), "kind": os.Getenv("FAKE_START"), "file": launchFile()})
	})
	inherited := inheritedStreams()
	http.HandleFunc("GET /attack", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(attack(os.Args[2:], inherited))
	})
	http.HandleFunc("GET /ping", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("GET /leave", func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, func() { os.Exit(0) })
	})
	http.HandleFunc("GET /panic", func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, func() { panic("asked to") })
	})
	http.HandleFunc("GET /kill9", func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, func() { kill(syscall.SIGKILL) })
	})
	http.HandleFunc("GET /doom", func(w http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(doom(), nil, 0o644); err != nil {
			panic(err)
		}
	})
	http.HandleFunc("GET /child", func(w http.ResponseWriter, r *http.Request) { startChild() })
	http.HandleFunc("GET /family", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(family()) })
	http.HandleFunc("GET /run", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, run(r.FormValue("program"), r.FormValue("arg")))
	})
	http.HandleFunc("GET /hog", func(w http.ResponseWriter, r *http.Request) { go hog() })
	panic(http.ListenAndServe(fmt.Sprint(":", apiPort), nil))
}

func doom() string { return filepath.Join(os.Args[1], "doom") }

func kill(signal syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		panic(err)
	}
}

// hog takes at most as much memory as any machine has that runs these tests.
func hog() {
	const step, most = 1 << 20, 256 << 20
	var taken [][]byte
	for range most / step {
		taken = append(taken, bytes.Repeat([]byte{1}, step))
	}
	panic(fmt.Sprint(len(taken), " MiB were taken, and nobody minded"))
}

// keep counts starts in a file that outlasts a loss of power.
func keep(name string) int {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		panic(err)
	}
	defer dir.Close()
	_, err = f.WriteString("x")
	for _, sync := range []func() error{f.Sync, dir.Sync} {
		if err == nil {
			err = sync()
		}
	}
	if err != nil {
		panic(err)
	}
	info, err := f.Stat()
	if err != nil {
		panic(err)
	}
	return int(info.Size())
}

// place is what the node can see and do.
func place() map[string]string {
	seen := map[string]string{}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "CapPrm", "CapEff", "CapBnd", "NoNewPrivs":
			seen[name] = strings.TrimSpace(value)
		}
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		panic(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	seen["root"] = strings.Join(names, " ")
	if seen["hostname"], err = os.Hostname(); err != nil {
		panic(err)
	}
	if seen["dir"], err = os.Getwd(); err != nil {
		panic(err)
	}
	return seen
}

// addresses are those of the node's interfaces, the loopback's first.
func addresses() (ips []string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		panic(err)
	}
	for _, a := range all {
		if ip := a.(*net.IPNet).IP.To4(); ip != nil {
			ips = append(ips, ip.String())
		}
	}
	return ips
}
