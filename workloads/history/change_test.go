package history

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChanges(t *testing.T) {
	one, two := int64(1), int64(-2)
	for text, c := range map[string]struct{ old, new *int64 }{
		"[1,-2]": {&one, &two}, "[null,1]": {nil, &one}, "[1,null]": {&one, nil}, "[null,null]": {},
	} {
		require.Equal(t, text, string(Change(c.old, c.new)))
		old, set, err := AsChange([]byte(text))
		require.NoError(t, err)
		require.Equal(t, c.old, old)
		require.Equal(t, c.new, set)
	}
	old, set, err := AsChange([]byte("[ 1, null ]"))
	require.NoError(t, err)
	require.Equal(t, &one, old)
	require.Nil(t, set)
	for _, text := range []string{"", "7", "[1]", "[1,2,3]", `["a",1]`} {
		_, _, err := AsChange([]byte(text))
		require.Error(t, err, text)
	}
	_, _, err = AsPair([]byte("[1,null]"))
	require.ErrorContains(t, err, "is not the [old,new] of a cas")
}
