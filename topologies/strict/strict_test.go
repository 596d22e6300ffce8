package strict

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sample has a field of every kind that Faultline's files have.
type sample struct {
	Name  string        `yaml:"name"`
	Count int           `yaml:"count"`
	Share float64       `yaml:"share"`
	Limit time.Duration `yaml:"limit"`
	On    bool          `yaml:"on"`
	List  []string      `yaml:"list"`
	Parts []struct {
		Name string `yaml:"name"`
	} `yaml:"parts"`
}

func TestEveryMistakeIsALineThatNamesTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "f.yaml: the file is empty",
		"# only a comment\n":             "f.yaml: the file is empty",
		"name: a\nratee: 3\n":            `f.yaml:2: unknown field "ratee"`,
		"name: a\nname: b\n":             `f.yaml:2: field "name" stands twice, first at line 1`,
		"count: x\nlimit: y\n":           "f.yaml:1: cannot unmarshal !!str `x` into int\nf.yaml:2: cannot unmarshal !!str `y` into time.Duration",
		"name: a\n---\nname: b\n":        "f.yaml:2: a second YAML document; one file holds one",
		"name: [\n":                      "f.yaml:1: did not find expected node content",
		"\"a\\nf.yaml: all is well\": 1": `f.yaml:1: unknown field "a\nf.yaml: all is well"`,
		"count: \"1\\n2\"":               "f.yaml:1: cannot unmarshal !!str `1\\n2` into int",
	} {
		require.EqualError(t, Decode("f.yaml", []byte(text), new(sample)), want, text)
	}
	var got sample
	require.NoError(t, Decode("f.yaml", []byte("name: a\ncount: 3\nlimit: 2s\nparts: [{name: b}]\n"), &got))
	require.Equal(t, []any{"a", 3, 2 * time.Second, "b"}, []any{got.Name, got.Count, got.Limit, got.Parts[0].Name})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"name: a\ncount: 3\nlist: [a, b]\nparts: [{name: x}]\n", "a: &x [*x]", "name: \"\\e[2J\\n\"\nq: 1", "---\n---\n", "\x00", "? [a\n b]: c"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v sample
		err := Decode("f.yaml", data, &v)
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				require.True(t, strings.HasPrefix(line, "f.yaml:"), "%q", err.Error())
			}
			return
		}
		text, err := Encode(v)
		require.NoError(t, err)
		var again sample
		require.NoError(t, Decode("f.yaml", []byte(text), &again), "%q", text)
	})
}
