package nemesis

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"faultline/topologies/strict"
)

// Count is how many runs there were of a kind, and how many of them found a violation.
type Count struct {
	Runs  int `yaml:"runs"`
	Found int `yaml:"found"`
}

// Add counts a run.
func (c *Count) Add(found bool) {
	c.Runs++
	if found {
		c.Found++
	}
}

// Learned is what runs with drawn schedules have shown of families, by name: what became of those that
// had steps of the family, and of those that had none. As text it is a file of weights.
type Learned map[string]Contrast

// Contrast is what became of runs with something, and of runs without it.
type Contrast struct {
	With    Count `yaml:"with,flow"`
	Without Count `yaml:"without,flow"`
}

// Clone is a copy that learns by itself.
func (l Learned) Clone() Learned { return maps.Clone(l) }

// Add counts a run that could have had families, and had some of them.
func (l Learned) Add(families, had []string, found bool) {
	for _, name := range families {
		c := l[name]
		if slices.Contains(had, name) {
			c.With.Add(found)
		} else {
			c.Without.Add(found)
		}
		l[name] = c
	}
}

// mostWeight bounds how much more, or less, often than others a family is drawn, so that none is given up.
const mostWeight = 8

// Draw makes weights by Thompson sampling (Thompson, "On the likelihood that one unknown probability
// exceeds another in view of the evidence of two samples", Biometrika 25, 1933): of each family, how much more
// often a run finds something with it than without, both drawn from what is known of them (directed swarm testing:
// Alipour et al., ISSTA 2016). Of a family of which nothing is known it is around 1.
func (l Learned) Draw(random *rand.Rand) Weights {
	weights := Weights{}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		weights[name] = bounded(beta(random, l[name].With) / beta(random, l[name].Without))
	}
	return weights
}

// Weights are those that Draw makes in the middle.
func (l Learned) Weights() Weights {
	mean := func(c Count) float64 { return float64(c.Found+1) / float64(c.Runs+2) } // of beta
	weights := Weights{}
	for name, c := range l {
		weights[name] = bounded(mean(c.With) / mean(c.Without))
	}
	return weights
}

func bounded(weight float64) float64 {
	return math.Round(100*min(max(weight, 1.0/mostWeight), mostWeight)) / 100
}

// beta draws from what is known of a probability, of which nothing was before.
func beta(random *rand.Rand, c Count) float64 {
	x, y := gamma(random, c.Found+1), gamma(random, c.Runs-c.Found+1)
	return x / (x + y)
}

// gamma draws from the gamma distribution of a whole shape: the time until so many events have come.
func gamma(random *rand.Rand, shape int) (sum float64) {
	for range shape {
		sum += random.ExpFloat64()
	}
	return sum
}

// ParseLearned reads a file of weights.
func ParseLearned(file string, data []byte) (Learned, error) {
	learned := Learned{}
	if err := strict.Decode(file, data, &learned); err != nil {
		return nil, err
	}
	for name, c := range learned {
		if !slices.Contains(familyNames(), name) {
			return nil, fmt.Errorf("%s: no family of faults %q; there are %s", file, name, strings.Join(familyNames(), ", "))
		}
		for _, of := range []Count{c.With, c.Without} {
			if of.Found < 0 || of.Runs < of.Found {
				return nil, fmt.Errorf("%s: %s: found %d in %d runs", file, name, of.Found, of.Runs)
			}
		}
	}
	return learned, nil
}

// String is the form that ParseLearned reads.
func (l Learned) String() string {
	text, err := strict.Encode(l)
	if err != nil {
		panic(err) // numbers and names always encode
	}
	return "# What runs with steps of a family found, and runs without: by faultline hunt.\n" + text
}

// Weights are the odds of families in swarms, by name: with a weight of 3, three of four schedules have one. Those that
// are left out have 1; with 0 there is none.
type Weights map[string]float64

// ParseWeights reads "kill=2,pause=0.5".
func ParseWeights(text string) (Weights, error) {
	weights := Weights{}
	if text == "" {
		return weights, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		weight, err := strconv.ParseFloat(value, 64)
		switch {
		case !slices.Contains(familyNames(), name):
			return nil, fmt.Errorf("weights: no family of faults %q; there are %s", name, strings.Join(familyNames(), ", "))
		case err != nil || !(weight >= 0) || math.IsInf(weight, 0):
			return nil, fmt.Errorf("weights: %q: want FAMILY=NUMBER, and a number from 0 on", part)
		}
		weights[name] = weight
	}
	return weights, nil
}

// String is the form that ParseWeights reads.
func (w Weights) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, name+"="+strconv.FormatFloat(w[name], 'g', -1, 64))
	}
	return strings.Join(parts, ",")
}
