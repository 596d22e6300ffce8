package workloads

import (
	"strconv"
	"strings"
)

// oddNames are names of keys, with the key's number for the #. They hold what paths, queries, JSON and
// file names give a meaning to. Empty parts and dots are not among them: servers of HTTP may clean
// paths (Go's net/http.ServeMux does), and refuse them.
var oddNames = []string{
	"dir/sub/k#", "k # with spaces", "k#%2f%", "schlüssel-#-鍵", "k#/", "k#?index=1&raw", "k+#=", `"k#"\`, "k;#,<a>'", "k\t#~`{|}^[]",
}

// keyName is the name of the key with a number. No two are the same, whether or not some are odd.
func keyName(number int, odd bool) string {
	n := strconv.Itoa(number)
	if odd && number%3 == 1 {
		return strings.ReplaceAll(oddNames[number/3%len(oddNames)], "#", n)
	}
	return "k" + n
}
