package history

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzValues: the quick reading of values agrees with a JSON decoder on every text.
func FuzzValues(f *testing.F) {
	for _, text := range []string{"7", "-7", "0", "-0", "00", "null", "[1,2]", "[null,2]", "[1,null]", "[1,2,3]", "[1,2", "1,2]", "[[1,2]]", "1e3", "999999999999999999", "9999999999999999999", " 7", "[-1,-2]", "[,]", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var n *int64
		err := json.Unmarshal(text, &n)
		got, gotErr := AsInt(text)
		require.Equal(t, err == nil, gotErr == nil)
		require.Equal(t, n, got)

		var pair []*int64
		err = json.Unmarshal(text, &pair)
		old, set, gotErr := AsPair(text)
		require.Equal(t, err == nil && len(pair) == 2 && pair[1] != nil, gotErr == nil, "%s: %v", text, gotErr)
		if gotErr == nil {
			require.Equal(t, pair[0], old)
			require.Equal(t, *pair[1], set)
		}
	})
}
