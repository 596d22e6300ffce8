package nodes

import (
	"errors"
	"fmt"

	"faultline/workloads/history"
)

// Error is a failed operation on a node.
type Error struct {
	Code history.Code
	Text string // for people
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Text) }

// Errorf makes an Error.
func Errorf(code history.Code, format string, args ...any) *Error {
	return &Error{Code: code, Text: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the Error in err's chain; history.Unknown if there is none.
func CodeOf(err error) history.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return history.Unknown
}
