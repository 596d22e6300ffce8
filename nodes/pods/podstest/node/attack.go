package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// attempt is one way in which the node tried to reach its pod's injector.
type attempt struct {
	What   string `json:"what"`
	Result string `json:"result"` // what was read, or why nothing was
}

// attack tries every way that a node could have to its pod's injector: to be heard by it, to
// read what it knows, and to make it believe that the node starts again. The command that it
// sends would have the pod hear nobody and show the true time.
func attack(args []string, inherited []int) (all []attempt) {
	var drop []string
	for _, a := range args {
		if name, addr, ok := strings.Cut(a, "="); ok && name != "self" {
			drop = append(drop, strconv.Quote(addr)+`:{"drop":true}`)
		}
	}
	command := `{"id":7,"apply":{"links":{` + strings.Join(drop, ",") + "}}}\n"
	for _, message := range []string{"c" + command, command, "e"} { // as control, without a word before it, as entry
		for _, name := range unixNames() {
			for _, network := range []string{"unix", "unixgram", "unixpacket"} {
				all = append(all, speak(network, name, message))
			}
		}
		for _, port := range tcpPorts() {
			all = append(all, speak("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), message))
		}
		for _, fd := range inherited {
			_, err := os.NewFile(uintptr(fd), "inherited").WriteString(message)
			all = append(all, attempt{fmt.Sprint("write to descriptor ", fd), fmt.Sprint(err)})
		}
	}
	all = append(all, serve(command))
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		read, err := os.ReadFile(dir + "/environ")
		all = append(all, attempt{"read " + dir + "/environ", result(read, err)})
	}
	for _, way := range []string{"/proc/1/root/", "/proc/1/mem", "/proc/1/fd/3", "/proc/1/ns/mnt"} {
		f, err := os.Open(way)
		if err == nil {
			f.Close()
		}
		all = append(all, attempt{"open " + way, fmt.Sprint(err)})
	}
	return all
}

const patience = 200 * time.Millisecond // for an answer

func speak(network, addr, message string) attempt {
	what := fmt.Sprintf("%s %s %.1s", network, addr, message)
	conn, err := net.DialTimeout(network, addr, patience)
	if err != nil {
		return attempt{what, err.Error()}
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, message); err != nil {
		return attempt{what, err.Error()}
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	return attempt{what, result(answer[:n], err)}
}

// serve has the injector's own program speak.
func serve(command string) attempt {
	cmd := exec.Command("/bin/injector", "serve")
	cmd.Stdin = strings.NewReader(command)
	said, err := cmd.CombinedOutput()
	return attempt{"injector serve", result(said, err)}
}

func result(read []byte, err error) string {
	if len(read) > 0 {
		return "read: " + string(bytes.ReplaceAll(read, []byte{0}, []byte{' '}))
	}
	return fmt.Sprint(err)
}

// unixNames are those of the sockets of this network namespace, and of that name which an
// injector used to have; those in the file system also as PID 1 would see them.
func unixNames() []string {
	names := []string{"@faultline-injector"}
	table, _ := os.ReadFile("/proc/net/unix")
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		const path = 7
		if len(fields) <= path || fields[path] == "Path" || slices.Contains(names, fields[path]) {
			continue
		}
		names = append(names, fields[path])
		if strings.HasPrefix(fields[path], "/") {
			names = append(names, "/proc/1/root"+fields[path])
		}
	}
	return names
}

// tcpPorts are those that somebody listens on in this network namespace, but for the node's.
func tcpPorts() (ports []int) {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, _ := os.ReadFile(file)
		for line := range strings.Lines(string(table)) {
			fields := strings.Fields(line)
			const local, state, listening = 1, 3, "0A"
			if len(fields) <= state || fields[state] != listening {
				continue
			}
			_, port, _ := strings.Cut(fields[local], ":")
			if number, err := hex.DecodeString(port); err == nil && len(number) == 2 {
				if n := int(number[0])<<8 | int(number[1]); n != apiPort {
					ports = append(ports, n)
				}
			}
		}
	}
	return ports
}

// inheritedStreams are the descriptors of sockets and pipes that this process was started with,
// beside the standard ones.
func inheritedStreams() (fds []int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		to, _ := os.Readlink(link)
		if fd, err := strconv.Atoi(filepath.Base(link)); err == nil && fd > 2 && (strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "pipe:")) {
			fds = append(fds, fd)
		}
	}
	return fds
}
