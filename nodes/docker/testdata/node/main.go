// A node for tests: it serves HTTP on :8500.
//
//	GET /          what the node is: its arguments, and how often it was started
//	GET /leave     the process ends, with exit code 0
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	file := filepath.Join(os.Args[1], "starts")
	before, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		panic(err)
	}
	starts := string(before) + "x"
	if err := os.WriteFile(file, []byte(starts), 0o644); err != nil {
		panic(err)
	}
	fmt.Println("out: start", len(starts))
	fmt.Fprintln(os.Stderr, "err: start", len(starts))
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"args": strings.Join(os.Args[1:], " "), "starts": len(starts)})
	})
	http.HandleFunc("GET /leave", func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, func() { os.Exit(0) })
	})
	panic(http.ListenAndServe(":8500", nil))
}
