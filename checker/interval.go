package checker

import "math"

// Wilson is the 95 % score interval of a probability of which k of n trials succeeded (Wilson, "Probable
// inference, the law of succession, and statistical inference", JASA 22, 1927).
func Wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959964 // the 97.5 % quantile of the normal distribution
	p, m := float64(k)/float64(n), float64(n)
	middle := p + z*z/(2*m)
	half := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	scale := 1 + z*z/m
	return max(0, (middle-half)/scale), min(1, (middle+half)/scale)
}

// tail is the probability at one end that an interval of 95 % leaves out.
const tail = 0.025

// atMost is the probability that of n trials, each of which has the chance p, k or fewer hit.
func atMost(k, n int, p float64) float64 {
	switch {
	case k >= n || p <= 0:
		return 1
	case k < 0 || p >= 1:
		return 0
	}
	lgamma := func(v int) float64 { l, _ := math.Lgamma(float64(v) + 1); return l }
	sum, whole := 0.0, lgamma(n)
	for i := range k + 1 {
		sum += math.Exp(whole - lgamma(i) - lgamma(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(1, sum)
}
