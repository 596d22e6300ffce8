package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	dc "github.com/ory/dockertest/v3/docker"

	"faultline/nodes"
	"faultline/nodes/injector"
	"faultline/nodes/pods"
)

const (
	imageRepository = "faultline"

	// The label comes last: only the finished image has it, so that a Clean meanwhile
	// takes no layer away.
	dockerfile = "FROM scratch\nCOPY root /\nLABEL " + labelImage + "=" + imageValue + "\n"
)

// ensureImage makes sure of the image of a system's nodes, and returns its name.
func (e *engine) ensureImage(ctx context.Context, system nodes.System, progress func(string)) (string, error) {
	progress("building the binaries")
	image, err := pods.ImageOf(ctx, system)
	if err != nil {
		return "", err
	}
	injectorBinary, err := pods.InjectorBinary(ctx)
	if err != nil {
		return "", err
	}
	archive, err := imageContext(image, injectorBinary)
	if err != nil {
		return "", fmt.Errorf("the files of %s: %w", system.Name(), err)
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

// imageRoot is the directory of the context that becomes the root of the image.
const imageRoot = "root"

// imageContext packs an image into a tar that depends on nothing but the content of its files.
func imageContext(image pods.Image, injectorBinary []byte) ([]byte, error) {
	var archive bytes.Buffer
	w := packer{tar.NewWriter(&archive), map[string]bool{}}
	err := errors.Join(w.add("Dockerfile", 0o644, []byte(dockerfile)), w.add(imageRoot+injector.Path, 0o755, injectorBinary))
	if err == nil && image.Program != "" {
		err = w.copy(image.Program, imageRoot+injector.NodePath, 0o111) // executable, whatever it is here
	}
	for _, path := range image.Files {
		if err == nil {
			err = w.copyAll(path)
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// packer writes each name once.
type packer struct {
	*tar.Writer
	has map[string]bool
}

func (w packer) add(name string, mode int64, data []byte) error {
	if w.has[name] {
		return nil
	}
	w.has[name] = true
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// copy adds a file of this machine, whatever links lead to it, with these permissions beside its own.
func (w packer) copy(path, name string, more fs.FileMode) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return w.add(name, int64(info.Mode().Perm()|0o444|more), data)
}

// copyAll adds a file, or all regular files of a directory, at their own paths. Links that lead
// nowhere are left out.
func (w packer) copyAll(path string) error {
	if resolved, err := filepath.EvalSymlinks(path); err != nil {
		return err
	} else if info, err := os.Stat(resolved); err != nil || !info.IsDir() {
		return errors.Join(err, w.copy(path, imageRoot+path, 0))
	}
	return filepath.WalkDir(path+"/", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			return nil
		}
		return errors.Join(err, w.copy(file, imageRoot+filepath.Clean(file), 0))
	})
}
