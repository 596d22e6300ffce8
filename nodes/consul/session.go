package consul

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// CreateSession makes a session that stands on its TTL alone, and on no health check.
func (c *client) CreateSession(ctx context.Context, ttl, lockDelay time.Duration, deletesKeys bool) (id string, err error) {
	behavior := "release"
	if deletesKeys {
		behavior = "delete"
	}
	wanted := map[string]any{"TTL": ttl.String(), "LockDelay": lockDelay.String(), "Behavior": behavior, "Checks": []string{}, "NodeChecks": []string{}}
	if c.dc != "" && c.options.NamesNodes {
		if wanted["Node"], err = c.anyNode(ctx); err != nil {
			return "", err
		}
	}
	order, err := json.Marshal(wanted)
	if err != nil {
		return "", nodes.Errorf(history.BadRequest, "%v", err)
	}
	a, err := c.do(ctx, http.MethodPut, &url.URL{Path: "/v1/session/create"}, string(order))
	if err != nil {
		return "", err
	}
	if a.Status != http.StatusOK {
		return "", classify(a)
	}
	var made struct{ ID string }
	if err := json.Unmarshal(a.Body, &made); err != nil || made.ID == "" {
		return "", nodes.Errorf(history.Unknown, "a request for a session was answered with %s", web.Excerpt(a.Body))
	}
	return made.ID, nil
}

// anyNode is the name of a node of the datacenter that is meant. That it cannot be had is definite: no session was asked for.
func (c *client) anyNode(ctx context.Context) (string, error) {
	body, err := c.ask(ctx, "/v1/catalog/nodes")
	if err != nil {
		if code := nodes.CodeOf(err); code.Definite() {
			return "", err
		}
		return "", nodes.Errorf(history.NotReady, "no node is known there: %v", err)
	}
	var all []struct{ Node string }
	if err := json.Unmarshal(body, &all); err != nil || len(all) == 0 || all[0].Node == "" {
		return "", nodes.Errorf(history.NotReady, "no node is known there: %s", web.Excerpt(body))
	}
	return all[0].Node, nil
}

func (c *client) RenewSession(ctx context.Context, id string) error {
	return c.session(ctx, "renew", id)
}

func (c *client) DestroySession(ctx context.Context, id string) error {
	return c.session(ctx, "destroy", id)
}

func (c *client) session(ctx context.Context, verb, id string) error {
	a, err := c.do(ctx, http.MethodPut, &url.URL{Path: "/v1/session/" + verb + "/" + id}, "")
	if err != nil {
		return err
	}
	switch a.Status {
	case http.StatusOK:
		return nil
	case http.StatusNotFound: // a session that has ended is the only thing that is looked for
		return nodes.Errorf(history.NoSession, "%s", web.Excerpt(a.Body))
	}
	return classify(a)
}

func (c *client) Acquire(ctx context.Context, key, value, session string) (nodes.Answer, error) {
	return c.lock(ctx, key, url.Values{"acquire": {session}}, value)
}

func (c *client) Release(ctx context.Context, key, value, session string) (nodes.Answer, error) {
	return c.lock(ctx, key, url.Values{"release": {session}}, value)
}

func (c *client) lock(ctx context.Context, key string, query url.Values, value string) (nodes.Answer, error) {
	done, a, err := c.write(ctx, key, query.Encode(), value)
	if err != nil {
		return nodes.Answer{}, err
	}
	if !done {
		return nodes.Answer{}, nodes.Errorf(history.LockHeld, "the lock is another's, or must wait")
	}
	return c.written(a, value)
}
