package nemesis

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatFindsMoreIsDrawnMore(t *testing.T) {
	l := Learned{}
	families := []string{"kill", "pause", "transfer"}
	for i := range 60 {
		l.Add(families, []string{"kill"}, i%2 == 0) // half of the runs with kills find it
		l.Add(families, []string{"pause"}, false)   // none of those without
	}
	require.Equal(t, Contrast{Count{60, 30}, Count{60, 0}}, l["kill"])
	require.Equal(t, Contrast{Count{60, 0}, Count{60, 30}}, l["pause"])
	require.Equal(t, Contrast{Count{0, 0}, Count{120, 30}}, l["transfer"])
	middle := l.Weights()
	require.EqualValues(t, mostWeight, middle["kill"])
	require.InDelta(t, 1.0/mostWeight, middle["pause"], 0.01)

	random := rand.New(rand.NewPCG(1, 2))
	sums := map[string]float64{}
	for range 200 {
		for name, weight := range l.Draw(random) {
			require.GreaterOrEqual(t, weight, 0.12)
			require.LessOrEqual(t, weight, float64(mostWeight))
			sums[name] += weight / 200
		}
	}
	require.Greater(t, sums["kill"], 6.0)
	require.Less(t, sums["pause"], 0.3)
	require.Greater(t, sums["transfer"], 0.8, "nothing is known of it with, so it is tried")
	require.Equal(t, l.Draw(rand.New(rand.NewPCG(7, 2))), l.Draw(rand.New(rand.NewPCG(7, 2))))
}

func TestFilesOfWeights(t *testing.T) {
	l := Learned{"kill": {Count{9, 4}, Count{7, 0}}, "link": {}}
	again, err := ParseLearned("l.yaml", []byte(l.String()))
	require.NoError(t, err)
	require.Equal(t, l, again)
	for text, says := range map[string]string{
		"kil: {with: {runs: 1, found: 0}}":  `l.yaml: no family of faults "kil"`,
		"kill: {with: {runs: 1, found: 2}}": "l.yaml: kill: found 2 in 1 runs",
		"kill: {wit: {runs: 1, found: 0}}":  "l.yaml:1",
	} {
		_, err := ParseLearned("l.yaml", []byte(text))
		require.ErrorContains(t, err, says)
	}
}

func FuzzWeights(f *testing.F) {
	f.Add("kill=2,pause=0.5")
	f.Add("")
	f.Add("kill")
	f.Add("kill=1e999")
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWeights(text)
		if err != nil {
			return
		}
		again, err := ParseWeights(w.String())
		require.NoError(t, err)
		require.Equal(t, w, again)
	})
}

func TestWeights(t *testing.T) {
	w, err := ParseWeights("pause=0.5,kill=2")
	require.NoError(t, err)
	require.Equal(t, Weights{"kill": 2, "pause": 0.5}, w)
	require.Equal(t, "kill=2,pause=0.5", w.String())
	for _, bad := range []string{"kil=2", "kill", "kill=1=2", "kill=-1", "kill=NaN", "kill=Inf", "kill=2,", "=1"} {
		_, err := ParseWeights(bad)
		require.Error(t, err, bad)
	}
}

func FuzzLearned(f *testing.F) {
	f.Add([]byte(Learned{"kill": {Count{9, 4}, Count{7, 0}}}.String()))
	f.Add([]byte("kill: {with: {runs: 1}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseLearned("l.yaml", data)
		if err != nil {
			return
		}
		again, err := ParseLearned("l.yaml", []byte(l.String()))
		require.NoError(t, err)
		require.Equal(t, l, again)
		for _, weight := range l.Weights() {
			require.True(t, weight > 0 && weight <= mostWeight)
		}
	})
}
