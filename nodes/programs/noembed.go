//go:build !faultline_embed

package programs

import "embed"

// embedded is empty: this binary was made by `go build` alone, and builds what it starts in pods.
var embedded embed.FS
