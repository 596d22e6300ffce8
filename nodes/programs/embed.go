//go:build faultline_embed

package programs

import "embed"

// embedded are the programs that travel inside this binary: those that `make build` has put beside this file.
// So it runs from any folder, and what it starts in pods is what it was built with.
//
//go:embed embedded/agent embedded/injector
var embedded embed.FS
