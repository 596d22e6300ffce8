package injector

import (
	"bytes"
	"fmt"
	"strconv"
)

// statLetter is the state in a line of /proc/PID/stat (proc_pid_stat(5)): the third
// field, after the name of the program in parentheses, which may itself hold any
// character, parentheses and spaces too.
func statLetter(stat []byte) (byte, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 || end+2 >= len(stat) || stat[end+1] != ' ' {
		return 0, fmt.Errorf("%q is not a line of /proc/PID/stat", stat)
	}
	return stat[end+2], nil
}

// statParent is the pid of the parent, field 4 (proc_pid_stat(5)); 0 if that is outside of the pid
// namespace, or the kernel.
func statParent(stat []byte) (int, error) {
	if _, err := statLetter(stat); err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0, fmt.Errorf("%q is not a line of /proc/PID/stat", stat)
	}
	return strconv.Atoi(string(fields[1]))
}
