package catalogue

import (
	"testing"

	"github.com/stretchr/testify/require"

	"faultline"
	"faultline/nemesis"
)

// A scenario that names something of every kind is accepted: the catalogue promises nothing
// that is not there.
func TestWhatIsListedCanBeNamed(t *testing.T) {
	kinds := map[string]bool{}
	for _, section := range All() {
		require.False(t, kinds[section.Kind], section.Kind)
		kinds[section.Kind] = true
		require.NotEmpty(t, section.Entries, section.Kind)
		seen := map[string]bool{}
		for _, e := range section.Entries {
			require.NotEmpty(t, e.Name, section.Kind)
			require.False(t, seen[e.Name], "%s: %s is listed twice", section.Kind, e.Name)
			seen[e.Name] = true
			require.True(t, e.Doc != "" || section.Kind == "topologies", "%s has no description", e.Name)
		}
	}
	for _, e := range Topologies() {
		for _, family := range Families() {
			_, err := faultline.MakeSchedule(faultline.Scenario{Topology: e.Name, Nemesis: []string{family.Name}, Seed: 1})
			if err != nil {
				require.ErrorContains(t, err, family.Name, "a topology without spares has nobody who could join")
			}
		}
	}
	for _, e := range Faults() {
		_, err := nemesis.Parse("x.yaml", []byte("steps: [{at: 1s, fault: "+e.Name+"}]"))
		require.NoError(t, err)
		require.NotEmpty(t, e.Targets, e.Name)
		require.NotEmpty(t, e.Family, e.Name)
	}
}
