package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
)

const (
	imageRepository = "faultline"
	injectorPath    = "/bin/injector"

	// The label comes last: only the finished image has it, so that a Clean meanwhile
	// takes no layer away.
	dockerfile = "FROM scratch\nCOPY bin /bin\nLABEL " + labelImage + "=" + imageValue + "\n"
)

// ensureImage makes sure of the image of a system's nodes, and returns its name.
func (e *engine) ensureImage(ctx context.Context, system nodes.System, progress func(string)) (string, error) {
	progress("building the binaries")
	node, err := system.Binary(ctx)
	if err != nil {
		return "", fmt.Errorf("the binary of %s: %w", system.Name(), err)
	}
	nodeBinary, err := os.ReadFile(node)
	if err != nil {
		return "", fmt.Errorf("the binary of %s: %w", system.Name(), err)
	}
	injectorBinary, err := pods.InjectorBinary(ctx)
	if err != nil {
		return "", err
	}
	archive, err := imageContext([]file{
		{"Dockerfile", 0o644, []byte(dockerfile)},
		{strings.TrimPrefix(injectorPath, "/"), 0o755, injectorBinary},
		{strings.TrimPrefix(injector.NodePath, "/"), 0o755, nodeBinary},
	})
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s:%x", imageRepository, sha256.Sum256(archive))
	_, err = call(ctx, e, e.limits.call, "looking for the image", func(ctx context.Context) (client.ImageInspectResult, error) {
		return e.client.ImageInspect(ctx, name)
	})
	if !errdefs.IsNotFound(err) {
		return name, err
	}
	progress("building the image")
	return name, e.buildImage(ctx, name, archive)
}

// buildImage has the pool build it. The pool first asks for the engine's version, without a context:
// if the engine hangs just then, that is left behind.
func (e *engine) buildImage(ctx context.Context, name string, archive []byte) error {
	_, err := call(ctx, e, e.limits.build, "building the image", func(ctx context.Context) (none struct{}, err error) {
		built := make(chan error, 1)
		go func() {
			built <- e.pool.Client.BuildImage(dc.BuildImageOptions{
				Name:                name,
				InputStream:         bytes.NewReader(archive),
				OutputStream:        io.Discard,
				RmTmpContainer:      true,
				ForceRmTmpContainer: true,
				Context:             ctx,
			})
		}()
		select {
		case err = <-built:
		case <-ctx.Done():
			err = ctx.Err()
		}
		return none, err
	})
	return err
}

type file struct {
	name string
	mode int64
	data []byte
}

// imageContext packs files into a tar that depends on nothing else.
func imageContext(files []file) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}
