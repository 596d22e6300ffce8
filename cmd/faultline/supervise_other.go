//go:build !linux

package main

import "syscall"

// childAttr gives the child a process group of its own. Where no cluster can run, nothing is
// left if it outlives us.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
