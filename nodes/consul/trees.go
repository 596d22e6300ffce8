package consul

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// recurse is the query that means every key with a prefix.
const recurse = "recurse"

// readKeys asks for a key, or for those with a prefix, in a mode.
func (c *client) readKeys(ctx context.Context, key, query string, mode history.Mode) (web.Answer, error) {
	of, ok := modeQuery[mode]
	if !ok {
		return web.Answer{}, nodes.Errorf(history.BadRequest, "read mode %q", mode)
	}
	if of != "" && query != "" {
		query += "&"
	}
	return c.doKey(ctx, http.MethodGet, key, query+of, "")
}

// Watch implements nodes.Watches.
func (c *client) Watch(ctx context.Context, key string, since uint64, wait time.Duration, mode history.Mode) (nodes.Answer, error) {
	query := ""
	if since > 0 {
		query = url.Values{"index": {strconv.FormatUint(since, 10)}, "wait": {wait.String()}}.Encode()
	}
	return c.get(ctx, key, query, mode)
}

// List implements nodes.Trees.
func (c *client) List(ctx context.Context, prefix string, mode history.Mode) (nodes.Answer, error) {
	a, err := c.readKeys(ctx, prefix, recurse, mode)
	if err != nil {
		return nodes.Answer{}, err
	}
	if a.Status == http.StatusNotFound && a.Header.Get(nodes.HeaderIndex) != "" && a.Header.Get(nodes.HeaderError) == "" {
		return c.read(a, nodes.Answer{})
	}
	if a.Status != http.StatusOK {
		return nodes.Answer{}, classify(a)
	}
	entries, err := parseEntries(a.Body)
	if err != nil {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "%v", err)
	}
	return c.read(a, nodes.Answer{Found: true, Entries: entries})
}

// Delete implements nodes.Trees.
func (c *client) Delete(ctx context.Context, key string) (nodes.Answer, error) {
	return c.delete(ctx, key, "")
}

// DeleteTree implements nodes.Trees.
func (c *client) DeleteTree(ctx context.Context, prefix string) (nodes.Answer, error) {
	return c.delete(ctx, prefix, recurse)
}

func (c *client) delete(ctx context.Context, key, query string) (nodes.Answer, error) {
	done, a, err := c.change(ctx, http.MethodDelete, key, query, "")
	if err != nil {
		return nodes.Answer{}, err
	}
	if !done {
		return nodes.Answer{}, nodes.Errorf(history.Unknown, "a deletion without a condition was answered with false")
	}
	return c.deleted(a)
}

// DeleteCAS implements nodes.Trees. Consul takes the index 0 for no condition at all, so it is refused here.
func (c *client) DeleteCAS(ctx context.Context, key string, index uint64) (nodes.Answer, error) {
	if index == 0 {
		return nodes.Answer{}, nodes.Errorf(history.BadRequest, "a deletion of a key that must be absent")
	}
	done, a, err := c.change(ctx, http.MethodDelete, key, "cas="+strconv.FormatUint(index, 10), "")
	if err != nil {
		return nodes.Answer{}, err
	}
	if done {
		return c.deleted(a)
	}
	return c.mismatch(a, index)
}

// deleted is the item of a key that is gone; its index is that of the deletion.
func (c *client) deleted(a web.Answer) (nodes.Answer, error) {
	written, err := c.written(a, "")
	written.Found = false
	return written, err
}
