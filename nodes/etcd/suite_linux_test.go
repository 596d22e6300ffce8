package etcd_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"faultline/nodes"
	"faultline/nodes/etcd"
	"faultline/nodes/local"
	"faultline/nodes/systemtest"
)

// A real etcd is put to the suite of systems wherever one is.
func TestSuiteOfSystems(t *testing.T) {
	t.Parallel()
	path := os.Getenv(binary)
	if path == "" {
		t.Skip(binary + " names no etcd; ci/etcd-binary.sh builds one")
	}
	systemtest.Test(t, systemtest.Subject{Runtime: local.New(), Require: "FAULTLINE_REQUIRE_LOCAL", System: func() nodes.System {
		system, err := etcd.New(etcd.Options{Binary: path})
		require.NoError(t, err)
		return system
	}})
}
