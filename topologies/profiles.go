package topologies

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"faultline/nodes/faults"
	"faultline/topologies/strict"
)

// Profile is what one direction of a WAN link is like, by name. Values that an entry gives beside it override it.
type Profile struct {
	Name string
	Doc  string // what it is like, and the source
	Link faults.Link
}

// profiles is sorted by name. A delay is one way: half of a measured round trip. Paths between regions of clouds lose next to
// nothing, and what they lose they lose in bursts (Haq, Raja, Dogar: Measuring and Improving the Reliability of Wide-Area
// Cloud Paths, WWW 2017), so profiles of such paths lose nothing: a steady loss is a stress test.
var profiles = []Profile{
	{"lossy-3g", "150 ms each way, 96 kB/s, a loss of 5 %: a stress test. Round trip and rate are those of WebPageTest's 3G (connectivity.ini: 300 ms, " +
		"768 kbit/s up); jitter and loss are chosen",
		faults.Link{Delay: 150 * time.Millisecond, Jitter: 40 * time.Millisecond, Loss: 0.05, Rate: 96_000}},
	{"same-continent", "10 ms each way: Azure's North Europe to West Europe, 20 ms in 95 of 100 round trips",
		faults.Link{Delay: 10 * time.Millisecond}},
	{"satellite", "280 ms each way: a geostationary satellite at the edge of its view, 279 ms a hop (RFC 2488, section 2)",
		faults.Link{Delay: 280 * time.Millisecond}},
	{"transatlantic", "40 ms each way: Azure's East US to UK South, 80 ms in 95 of 100 round trips, as AWS's Virginia to Ireland",
		faults.Link{Delay: 40 * time.Millisecond}},
	{"transpacific", "51.5 ms each way: Azure's West US 2 to Japan East, 103 ms in 95 of 100 round trips",
		faults.Link{Delay: 51500 * time.Microsecond}},
}

// Profiles lists all of them, sorted by name.
func Profiles() []Profile { return slices.Clone(profiles) }

// regions are round-trip times between regions of Azure in ms, the 95th percentile of 30 days up to 2026-07-30, each pair
// once: Microsoft, "Azure network round-trip latency statistics" (azure-docs, articles/networking/azure-network-latency.md).
//
//go:embed regions.csv
var regions string

// rttOf is the round-trip time between two regions, in either order.
func rttOf(a, b string) (rtt time.Duration, ok bool) {
	for _, row := range regionRows() {
		if row[0] == a && row[1] == b || row[0] == b && row[1] == a {
			ms, err := strconv.Atoi(row[2])
			return time.Duration(ms) * time.Millisecond, err == nil
		}
	}
	return 0, false
}

func regionRows() [][]string {
	rows, err := csv.NewReader(strings.NewReader(regions)).ReadAll()
	if err != nil {
		panic(err) // the file is embedded, and tested
	}
	return rows[1:]
}

// Regions lists the regions between which round-trip times are known, sorted.
func Regions() []string {
	var names []string
	for _, row := range regionRows() {
		names = append(names, row[0], row[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// base is what an entry is like where it gives no values itself.
func (l Link) base() (base faults.Link, err error) {
	if l.Profile != "" {
		i := slices.IndexFunc(profiles, func(p Profile) bool { return p.Name == l.Profile })
		if i < 0 {
			return base, fmt.Errorf("no profile %q of links; there are %s", l.Profile, strings.Join(profileNames(), ", "))
		}
		base = profiles[i].Link
	}
	if l.RTTOf == nil {
		return base, nil
	}
	if len(l.RTTOf) != 2 {
		return base, fmt.Errorf("rtt-of takes two regions, such as [east-us, west-europe]")
	}
	rtt, ok := rttOf(l.RTTOf[0], l.RTTOf[1])
	if !ok {
		return base, fmt.Errorf("rtt-of: no round-trip time between %q and %q is known; there are times between some of %s",
			l.RTTOf[0], l.RTTOf[1], strings.Join(Regions(), ", "))
	}
	base.Delay = rtt / 2
	return base, nil
}

func profileNames() (names []string) {
	for _, p := range profiles {
		names = append(names, p.Name)
	}
	return names
}

// Links is a list of entries that reads itself: yaml drops an empty entry of a list without a word.
type Links []Link

func (l *Links) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return strict.At(node, "links: want a list of entries such as {between: [dc1, dc2], delay: 40ms}")
	}
	*l = nil
	for _, item := range node.Content {
		if item.Tag == "!!null" {
			return strict.At(item, "an entry of links looks like {between: [dc1, dc2], delay: 40ms}")
		}
		var one Link
		if err := item.Decode(&one); err != nil {
			return err
		}
		*l = append(*l, one)
	}
	return nil
}

// plainLink is a Link without its own way to read and write itself.
type plainLink Link

// UnmarshalYAML reads values on top of those of a profile.
func (l *Link) UnmarshalYAML(node *yaml.Node) error {
	if err := strict.Known(node, plainLink{}); err != nil {
		return err
	}
	named := struct {
		Profile string   `yaml:"profile"`
		RTTOf   []string `yaml:"rtt-of"`
	}{}
	if err := node.Decode(&named); err != nil {
		return err
	}
	base, err := Link{Profile: named.Profile, RTTOf: named.RTTOf}.base()
	if err != nil {
		return strict.At(node, "%s", err)
	}
	*l = Link{Link: base}
	return node.Decode((*plainLink)(l))
}

// MarshalYAML writes the values that are not those of the profile.
func (l Link) MarshalYAML() (any, error) {
	base, err := l.base()
	if err != nil {
		return nil, err
	}
	named := l
	named.Link = faults.Link{}
	node := new(yaml.Node)
	if err := node.Encode(plainLink(named)); err != nil {
		return nil, err
	}
	values, bases := reflect.ValueOf(l.Link), reflect.ValueOf(base)
	for i := range values.NumField() {
		name, _, _ := strings.Cut(values.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "-" || values.Field(i).Equal(bases.Field(i)) {
			continue
		}
		var value yaml.Node
		if err := value.Encode(values.Field(i).Interface()); err != nil {
			return nil, err
		}
		node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, &value)
	}
	return node, nil
}
