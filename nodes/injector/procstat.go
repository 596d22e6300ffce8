package injector

import (
	"bytes"
	"fmt"
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
