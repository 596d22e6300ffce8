//go:build race

package checker

const underRace = true // where all is ten times slower
