package declared

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"faultline/nodes"
	"faultline/nodes/internal/web"
	"faultline/workloads/history"
)

// ask asks for a path.
func ask(ctx context.Context, client *web.Client, path string) (web.Answer, error) {
	target, err := url.ParseRequestURI(path)
	if err != nil {
		return web.Answer{}, nodes.Errorf(history.BadRequest, "%v", err)
	}
	return client.Do(ctx, web.Request{Method: http.MethodGet, URL: target})
}

// leaderReader reads who leads.
type leaderReader struct {
	Leader
	matches *regexp.Regexp // nil without Matches
}

// observeLeader asks a node who leads.
func (s *System) observeLeader(ctx context.Context, node string, client *web.Client) (history.Observation, error) {
	a, err := ask(ctx, client, s.leader.Path)
	if err != nil {
		return history.Observation{}, err
	}
	if a.Status/100 != 2 {
		return history.Observation{}, nodes.Errorf(history.NotReady, "%s was answered with the status %d: %s", s.leader.Path, a.Status, web.Excerpt(a.Body))
	}
	told, err := s.leader.read(a)
	if err != nil {
		return history.Observation{}, nodes.Errorf(history.Unknown, "who leads: %v", err)
	}
	s.mu.Lock()
	places := s.places
	s.mu.Unlock()
	return s.leader.observation(node, told, places)
}

// read finds the text that says who leads; it is empty if nobody does.
func (l *leaderReader) read(a web.Answer) (string, error) {
	told := string(a.Body)
	if l.JSON != "" {
		found, there, err := atPointer(a.Body, l.JSON)
		if err != nil {
			return "", err
		}
		if !there {
			return "", nil
		}
		told = found
	}
	if l.matches != nil {
		groups := l.matches.FindStringSubmatch(told)
		if groups == nil {
			return "", nil
		}
		told = groups[1]
	}
	if told = strings.TrimSpace(told); told == l.Nobody {
		told = ""
	}
	return told, nil
}

// observation is what the text means at a node.
func (l *leaderReader) observation(node, told string, places []nodes.NodeInfo) (history.Observation, error) {
	o := history.Observation{State: history.Follower}
	switch {
	case l.Says == SaysRole:
		if told == l.leads() {
			o.Leader = node
		}
	case told == "":
	case l.Says == SaysAddress:
		host := hostOf(told)
		for _, p := range places {
			if p.Addr.String() == host {
				o.Leader = p.Name
			}
		}
	default:
		o.Leader = told
		known := len(places) == 0
		for _, p := range places {
			known = known || p.Name == told
		}
		if !known {
			o.Leader = ""
		}
	}
	if told != "" && o.Leader == "" && l.Says != SaysRole {
		return history.Observation{}, nodes.Errorf(history.Unknown, "%q leads, which is the %s of no node", told, orDefault(l.Says, SaysName))
	}
	if o.Leader == node {
		o.State = history.Leader
	}
	return o, nil
}

func (l *leaderReader) leads() string { return orDefault(l.Leads, "true") }

func orDefault[T ~string](text, otherwise T) T {
	if text == "" {
		return otherwise
	}
	return text
}

// hostOf is the host of HOST, HOST:PORT or a URL.
func hostOf(text string) string {
	if u, err := url.Parse(text); err == nil && u.Host != "" {
		return u.Hostname()
	}
	if host, _, err := net.SplitHostPort(text); err == nil {
		return host
	}
	return text
}
