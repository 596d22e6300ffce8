// Package compat verifies that the reference agent speaks Consul's HTTP API: its test
// starts three servers and a client agent as processes on loopback addresses and uses
// them through github.com/hashicorp/consul/api, HashiCorp's own client.
//
//	cd nodes/agent/compat && go test ./...
//
// It is a module of its own, so that the client's dependencies stay out of Faultline's. The
// agent is built from the checkout around it, or is the one that FAULTLINE_AGENT names.
// It needs Linux, where all of 127.0.0.0/8 is the machine itself.
package compat
