package main

import "syscall"

// childAttr gives the child a process group of its own, and has the kernel end it with us.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
