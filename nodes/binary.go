package nodes

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Binary is which program was tested: what tells it from every other, and, of a program in Go,
// what its linker wrote into it (debug/buildinfo). A program in another language, or one that was
// stripped of that, has no Go part.
type Binary struct {
	SHA256 string    `json:"sha256"` // of the file, in hex
	Size   int64     `json:"size"`   // of the file, in bytes
	Go     *GoBinary `json:"go,omitempty"`
}

// GoBinary is where a program in Go came from. What the build did not know is empty: a build
// with -buildvcs=false knows no revision, and one in its own source tree the version "(devel)".
type GoBinary struct {
	Toolchain string `json:"toolchain"` // go1.26.1
	Path      string `json:"path"`      // of the main package
	Module    string `json:"module"`    // path of the main module
	Version   string `json:"version"`   // of the main module
	Revision  string `json:"revision,omitempty"`
	// Modified tells that the source tree was not as committed in that Revision.
	Modified bool `json:"modified,omitempty"`
}

// ReadBinary reads a program's file. It is an error that it cannot be read, and none that it is
// not in Go.
func ReadBinary(path string) (Binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return Binary{}, err
	}
	defer file.Close() // was only read
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return Binary{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return Binary{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: size, Go: readGo(file)}, nil
}

func readGo(file io.ReaderAt) *GoBinary {
	info, err := buildinfo.Read(file)
	if err != nil {
		return nil // as for any file that is not of Go
	}
	g := &GoBinary{Toolchain: info.GoVersion, Path: info.Path, Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			g.Revision = s.Value
		case "vcs.modified":
			g.Modified = s.Value == "true"
		}
	}
	return g
}
