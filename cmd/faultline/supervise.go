package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// envInner marks the process that does the work.
const envInner = "FAULTLINE_INNER"

// declareFD is where the inner process says its exit code before it exits.
const declareFD = 3

// supervise runs the command as a child of this process, and returns its exit code. The Go
// runtime ends a program in which any goroutine panics, and one that gets a SIGQUIT, with
// exit code 2, which is our word for unknown, and nothing in that program can change it. So a
// code counts only if the child has said so before it exited; what ends in any other way is
// the harness's failure, 255.
//
// Signals are passed on. The child has a process group of its own, so that a terminal's
// Ctrl-C reaches it once, and is killed by the kernel if this process is (PR_SET_PDEATHSIG,
// prctl(2)).
func supervise() int {
	runtime.LockOSThread() // a child outlives no thread that started it
	program, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	said, says, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer said.Close()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	child := exec.Cmd{Path: program, Args: os.Args, Env: append(os.Environ(), envInner+"=1"),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{says},
		SysProcAttr: childAttr()}
	if err := child.Start(); err != nil {
		return fail(err)
	}
	says.Close() // so that its end is seen
	go func() {
		for s := range signals {
			child.Process.Signal(s) // it may just have ended
		}
	}()
	declared := make([]byte, 1)
	n, _ := said.Read(declared) // nothing, if it ended without a word
	err = child.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return fail(err)
	}
	code := child.ProcessState.ExitCode()
	if n == 1 && code == int(declared[0]) {
		return code
	}
	return fail(fmt.Errorf("the harness broke down: %s", child.ProcessState))
}

// passedOn are the signals that are for the child: all that end a program as a rule, beside
// those of a broken one.
var passedOn = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

func fail(err error) int {
	complain(err)
	return exitHarness
}

// declare says an exit code to the supervisor.
func declare(code int) int {
	says := os.NewFile(declareFD, "supervisor")
	if _, err := says.Write([]byte{byte(code)}); err != nil {
		return fail(fmt.Errorf("the exit code %d could not be passed on: %w", code, err))
	}
	return code
}
