package gossip

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Set changes one value by its name: "probe-interval=500ms". The value is checked by Validate, with all others.
func (t *Timing) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q: it must be NAME=VALUE", text)
	}
	field := t.field(name)
	if !field.IsValid() {
		return fmt.Errorf("no setting %q; there are %s", name, strings.Join(Settings(), ", "))
	}
	switch to := field.Addr().Interface().(type) {
	case *time.Duration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return fmt.Errorf("%s: %q is no duration", name, value)
		}
		*to = d
	case *int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%s: %q is no whole number", name, value)
		}
		*to = n
	case *bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%s: %q is neither true nor false", name, value)
		}
		*to = b
	}
	return nil
}

// String lists what differs from the profile that has most in common: "lan probe-interval=500ms". ParseTiming reads it.
func (t Timing) String() string {
	var best []string
	for _, name := range slices.Sorted(maps.Keys(Profiles)) {
		words := []string{name}
		base := Profiles[name]()
		for _, setting := range Settings() {
			if v := t.field(setting).Interface(); v != base.field(setting).Interface() {
				words = append(words, fmt.Sprintf("%s=%v", setting, v))
			}
		}
		if best == nil || len(words) < len(best) {
			best = words
		}
	}
	return strings.Join(best, " ")
}

// ParseTiming reads a profile's name and what differs from it, as String prints them.
func ParseTiming(text string) (Timing, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Timing{}, fmt.Errorf("no timing; there are %s", strings.Join(slices.Sorted(maps.Keys(Profiles)), ", "))
	}
	profile, ok := Profiles[words[0]]
	if !ok {
		return Timing{}, fmt.Errorf("no timing %q; there are %s", words[0], strings.Join(slices.Sorted(maps.Keys(Profiles)), ", "))
	}
	t := profile()
	for _, word := range words[1:] {
		if err := t.Set(word); err != nil {
			return Timing{}, err
		}
	}
	return t, t.Validate()
}

// Settings are the names that Set knows.
func Settings() (names []string) {
	for f := range reflect.TypeFor[Timing]().Fields() {
		names = append(names, settingName(f))
	}
	return names
}

func (t *Timing) field(name string) reflect.Value {
	value := reflect.ValueOf(t).Elem()
	for f := range value.Type().Fields() {
		if settingName(f) == name {
			return value.FieldByIndex(f.Index)
		}
	}
	return reflect.Value{}
}

func settingName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}
